-- Stands before cancel.lua: what follows is for an attached job that nobody waits for any more.
-- KEYS: those of cancel.lua
-- ARGV: those of cancel.lua, then who leaves
-- Returns 'attended', or what cancel.lua returns.
if attached(KEYS[1]) then
  -- Not removed: the set says that the job is attached.
  redis.call('ZADD', KEYS[1] .. ':attendance', 0, ARGV[5])
end
if not abandoned(KEYS[1]) then
  return 'attended'
end

