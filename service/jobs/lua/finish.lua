-- End a job: terminal event, state and acknowledgement together.
-- KEYS: job, log, pictures, waiting, outstanding
-- ARGV: epoch, group, job id, state, event, retention ms
-- Returns 'lost' or 'ok'.
local facts = redis.call('HMGET', KEYS[1], 'epoch', 'state', 'entry')
if facts[1] ~= ARGV[1] or facts[2] ~= 'running' then
  return 'lost'
end
end_job(KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], {
  group = ARGV[2], id = ARGV[3], entry = facts[3],
  state = ARGV[4], event = ARGV[5], retention_ms = ARGV[6],
})
return 'ok'
