-- End a job: terminal event, state and acknowledgement together.
-- KEYS: job, log, waiting, outstanding
-- ARGV: epoch, group, job id, state, event, retention ms
-- Returns 'lost' or 'ok'.
local facts = redis.call('HMGET', KEYS[1], 'epoch', 'state', 'entry')
if facts[1] ~= ARGV[1] or facts[2] ~= 'running' then
  return 'lost'
end
redis.call('XADD', KEYS[2], '*', 'event', ARGV[5])
redis.call('HSET', KEYS[1], 'state', ARGV[4])
redis.call('XACK', KEYS[3], ARGV[2], facts[3])
redis.call('XDEL', KEYS[3], facts[3])
redis.call('ZREM', KEYS[4], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return 'ok'
