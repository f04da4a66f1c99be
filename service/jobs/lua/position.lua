-- How many jobs of its model wait ahead of one that waits. After standing.lua.
-- KEYS: job
-- ARGV: group, highest answer, prefix of waiting (whose model it is, only the job knows)
-- Returns -1 if the job does not wait, -2 if there is none.
local facts = redis.call('HMGET', KEYS[1], 'state', 'entry', 'model')
if facts[1] ~= 'queued' then
  return facts[1] and -1 or -2
end
return jobs_ahead(ARGV[3] .. facts[3], ARGV[1], facts[2], tonumber(ARGV[2]))
