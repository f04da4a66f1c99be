-- Accept a job: the hash, its place in the queue and its first event, or nothing at all.
-- KEYS: job, log, waiting, outstanding
-- ARGV: group, job id, request, model, queued event, max depth
-- Returns {created at in microseconds} or {} when the queue is full.
local created = redis.call('HGET', KEYS[1], 'created')
if created then -- a repetition after a lost answer
  return { created }
end
if redis.call('ZCARD', KEYS[4]) >= tonumber(ARGV[6]) then
  return {}
end
if redis.call('EXISTS', KEYS[3]) == 0 then
  -- From the very first entry: jobs may be accepted before any worker comes.
  redis.call('XGROUP', 'CREATE', KEYS[3], ARGV[1], '0', 'MKSTREAM')
end
local now = redis.call('TIME')
created = string.format('%.0f', now[1] * 1000000 + now[2])
local entry = redis.call('XADD', KEYS[3], '*', 'job', ARGV[2])
redis.call('HSET', KEYS[1], 'request', ARGV[3], 'model', ARGV[4], 'state', 'queued',
  'created', created, 'epoch', 0, 'attempts', 0, 'entry', entry)
redis.call('XADD', KEYS[2], '*', 'event', ARGV[5])
redis.call('ZADD', KEYS[4], created, ARGV[2])
return { created }
