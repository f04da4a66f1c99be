-- How many jobs of a model wait, and how many run. After standing.lua.
-- KEYS: waiting
-- ARGV: group, how many that were handed back are told from running ones at most
-- Returns {waiting, running}.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return { 0, 0 }
end
local running = jobs_running(KEYS[1], ARGV[1], ARGV[2])
return { redis.call('XLEN', KEYS[1]) - running, running }
