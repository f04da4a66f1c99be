-- Accept a job: the hash, its place in the queue and its first event, or nothing at all.
-- KEYS: job, log, waiting, outstanding
-- ARGV: job id, request, model, queued event, max depth
-- Returns {created at in microseconds} or {} when the queue is full.
local now = redis.call('TIME')
local micros = now[1] * 1000000 + now[2]
local created = redis.call('HGET', KEYS[1], 'created')
if created then -- a repetition after a lost answer
  return { created }
end
if redis.call('ZCARD', KEYS[4]) >= tonumber(ARGV[5]) then
  return {}
end
created = string.format('%.0f', micros)
local entry = redis.call('XADD', KEYS[3], '*', 'job', ARGV[1])
redis.call('HSET', KEYS[1], 'request', ARGV[2], 'model', ARGV[3], 'state', 'queued',
  'created', created, 'epoch', 0, 'attempts', 0, 'entry', entry)
redis.call('XADD', KEYS[2], '*', 'event', ARGV[4])
redis.call('ZADD', KEYS[4], created, ARGV[1])
return { created }
