-- How many jobs of a model wait, and how many run.
-- KEYS: waiting
-- ARGV: group, how many that were handed back are told from running ones at most
-- Returns {waiting, running}.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return { 0, 0 }
end
-- What was handed back is pending too, but idle for ever (hand_back.lua).
local pending = redis.call('XPENDING', KEYS[1], ARGV[1])[1]
local running = pending - #redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', 2147483647, '-', '+',
  ARGV[2])
return { redis.call('XLEN', KEYS[1]) - running, running }
