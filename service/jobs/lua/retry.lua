-- Make a new job of a dead letter, and forget the letter.
-- KEYS: dead letters, new job, its log, waiting, outstanding, the tenant's jobs in flight,
--       the upload of the dead job, that of the new one
-- ARGV: entry of the letter, group, job id, request, model, queued event, max depth,
--       milliseconds within which it has to start or -1, tenant, priority, bytes that it may come to,
--       budget of bytes or 0, milliseconds for which an upload is kept or -1 if the job has none
-- Returns {'missing'}, {'expired'} (its upload), {'full'}, {'memory'}, or as submit.lua does.
if redis.call('EXISTS', KEYS[2]) == 1 then -- a repetition after a lost answer
  return told('new', ARGV[3], KEYS[2])
end
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return { 'missing' }
end
local varies = tonumber(ARGV[13]) >= 0
if varies and redis.call('EXISTS', KEYS[7]) == 0 then
  return { 'expired' }
end
if redis.call('ZCARD', KEYS[5]) >= tonumber(ARGV[7]) then
  return { 'full' }
end
if not has_memory(KEYS[5], ARGV[11], ARGV[12]) then
  return { 'memory' }
end
accept_job(KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], {
  group = ARGV[2], id = ARGV[3], request = ARGV[4], model = ARGV[5], event = ARGV[6],
  start_ms = ARGV[8], tenant = ARGV[9], priority = ARGV[10], footprint = ARGV[11],
})
if varies then -- not before what a full Redis would refuse
  redis.call('RENAME', KEYS[7], KEYS[8])
  redis.call('PEXPIRE', KEYS[8], ARGV[13])
end
redis.call('XDEL', KEYS[1], ARGV[1])
if redis.call('XLEN', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[1])
end
return told('new', ARGV[3], KEYS[2])
