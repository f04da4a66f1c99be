-- Give a job up unfinished: the next lease call takes it first.
-- KEYS: job, waiting
-- ARGV: epoch, group, -1 if the attempt does not count, else 0
-- Returns 'lost' or 'ok'.
local facts = redis.call('HMGET', KEYS[1], 'epoch', 'state', 'entry')
if facts[1] ~= ARGV[1] or facts[2] ~= 'running' then
  return 'lost'
end
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HINCRBY', KEYS[1], 'attempts', ARGV[3])
redis.call('HSET', KEYS[1], 'state', 'queued')
wait_again(KEYS[2], ARGV[2], facts[3])
return 'ok'
