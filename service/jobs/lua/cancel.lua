-- Cancel a job: at once if it waits, at its next band if it runs, not at all if it has ended.
-- KEYS: job, log, waiting, outstanding
-- ARGV: group, job id, cancelled event, retention ms
-- Returns 'missing' or 'ok'.
local facts = redis.call('HMGET', KEYS[1], 'state', 'entry')
if not facts[1] then
  return 'missing'
end
if facts[1] == 'running' then
  redis.call('HSET', KEYS[1], 'cancel', 1)
elseif facts[1] == 'queued' then
  redis.call('XADD', KEYS[2], '*', 'event', ARGV[3])
  redis.call('HSET', KEYS[1], 'state', 'cancelled')
  redis.call('XACK', KEYS[3], ARGV[1], facts[2])
  redis.call('XDEL', KEYS[3], facts[2])
  redis.call('ZREM', KEYS[4], ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
return 'ok'
