-- Accept a job: the hash, its place in the queue and its first event, or nothing at all. After
-- standing.lua.
-- KEYS: job, log, waiting, outstanding, the tenant's jobs in flight; with an idempotency key: its hash
-- ARGV: group, job id, request, model, queued event, max depth,
--       milliseconds within which it has to start or -1, tenant, the tenant's max jobs or -1,
--       how far the jobs ahead are counted;
--       with an idempotency key: fingerprint, prefix of jobs (whose key it is, only its hash knows)
-- Returns {'full'}, {'over'} (the tenant's own limit), {'conflict'},
-- {'new', created at in microseconds, jobs ahead, jobs of the model that run}, or, of a job that was
-- there before, {'repeated' or 'known', job id, request, state, created at, attempts}.
local function told(how, id, job)
  local facts = redis.call('HMGET', job, 'request', 'state', 'created', 'attempts')
  return { how, id, unpack(facts) }
end

if redis.call('EXISTS', KEYS[1]) == 1 then -- a repetition after a lost answer
  return told('repeated', ARGV[2], KEYS[1])
end
if KEYS[6] then
  local taken = redis.call('HMGET', KEYS[6], 'job', 'fingerprint')
  local job = taken[1] and ARGV[12] .. taken[1]
  if job and redis.call('EXISTS', job) == 1 then
    if taken[2] ~= ARGV[11] then
      return { 'conflict' }
    end
    return told('known', taken[1], job)
  end
end
if tonumber(ARGV[9]) >= 0 and redis.call('SCARD', KEYS[5]) >= tonumber(ARGV[9]) then
  return { 'over' }
end
if redis.call('ZCARD', KEYS[4]) >= tonumber(ARGV[6]) then
  return { 'full' }
end
if redis.call('EXISTS', KEYS[3]) == 0 then
  -- From the very first entry: jobs may be accepted before any worker comes.
  redis.call('XGROUP', 'CREATE', KEYS[3], ARGV[1], '0', 'MKSTREAM')
end
local now = redis.call('TIME')
local created = string.format('%.0f', now[1] * 1000000 + now[2])
local entry = redis.call('XADD', KEYS[3], '*', 'job', ARGV[2])
redis.call('HSET', KEYS[1], 'request', ARGV[3], 'model', ARGV[4], 'state', 'queued',
  'created', created, 'epoch', 0, 'attempts', 0, 'entry', entry, 'tenant', ARGV[8],
  'in_flight', KEYS[5])
if tonumber(ARGV[7]) >= 0 then
  redis.call('HSET', KEYS[1], 'start_by', string.format('%.0f', created + ARGV[7] * 1000))
end
redis.call('XADD', KEYS[2], '*', 'event', ARGV[5])
redis.call('ZADD', KEYS[4], created, ARGV[2])
redis.call('SADD', KEYS[5], ARGV[2])
if KEYS[6] then
  redis.call('DEL', KEYS[6]) -- what an expired job may have left, with its time to live
  redis.call('HSET', KEYS[6], 'job', ARGV[2], 'fingerprint', ARGV[11])
  redis.call('HSET', KEYS[1], 'once', KEYS[6]) -- so that both expire together
end
local most = tonumber(ARGV[10])
local ahead = jobs_ahead(KEYS[3], ARGV[1], entry, most)
return { 'new', created, ahead, jobs_running(KEYS[3], ARGV[1], most) }
