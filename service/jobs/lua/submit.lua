-- Accept a job: the hash, its place in the queue and its first event, or nothing at all.
-- KEYS: job, log, waiting, outstanding, the tenant's jobs in flight; with an idempotency key: its hash
-- ARGV: group, job id, request, model, queued event, max depth,
--       milliseconds within which it has to start or -1, tenant, the tenant's max jobs or -1,
--       priority, bytes that it may come to, budget of bytes or 0, how far the jobs ahead are counted,
--       prefix of waiting, head start ms, the request's id, its traceparent and tracestate or '';
--       with an idempotency key: fingerprint, prefix of jobs (whose key it is, only its hash knows);
--       at the very end: who waits for it, or '' for a job that is not attached, and for how many
--       milliseconds
-- Returns {'full'}, {'memory'}, {'over'} (the tenant's own limit), {'conflict'},
-- {'new', created at in microseconds, jobs ahead, jobs of the model that run}, or, of a job that was
-- there before, {'repeated' or 'known', job id, request, state, created at, attempts}.
if redis.call('EXISTS', KEYS[1]) == 1 then -- a repetition after a lost answer
  return told('repeated', ARGV[2], KEYS[1])
end
if KEYS[6] then
  local taken = redis.call('HMGET', KEYS[6], 'job', 'fingerprint')
  local job = taken[1] and ARGV[20] .. taken[1]
  if job and redis.call('EXISTS', job) == 1 then
    if taken[2] ~= ARGV[19] then
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
if not has_memory(KEYS[4], ARGV[11], ARGV[12]) then
  return { 'memory' }
end
local entry, created = accept_job(KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], {
  group = ARGV[1], id = ARGV[2], request = ARGV[3], model = ARGV[4], event = ARGV[5],
  start_ms = ARGV[7], tenant = ARGV[8], priority = ARGV[10], footprint = ARGV[11],
})
if ARGV[16] ~= '' or ARGV[17] ~= '' then
  redis.call('HSET', KEYS[1], 'request_id', ARGV[16], 'traceparent', ARGV[17], 'tracestate', ARGV[18])
end
if KEYS[6] then
  redis.call('DEL', KEYS[6]) -- what an expired job may have left, with its time to live
  redis.call('HSET', KEYS[6], 'job', ARGV[2], 'fingerprint', ARGV[19])
  redis.call('HSET', KEYS[1], 'once', KEYS[6]) -- so that both expire together
end
if ARGV[#ARGV - 1] ~= '' then
  attend(KEYS[1], ARGV[#ARGV - 1], ARGV[#ARGV])
end
local most = tonumber(ARGV[13])
local streams, mine = streams_of(ARGV[4], ARGV[10], ARGV[14])
local ahead = jobs_ahead(streams, mine, entry, ARGV[1], most, tonumber(ARGV[15]))
return { 'new', created, ahead, jobs_running(streams, ARGV[1], most) }
