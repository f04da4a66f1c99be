-- Cancel a job: at once if it waits, at its next band if it runs, not at all if it has ended.
-- KEYS: job, log, pictures, waiting, outstanding
-- ARGV: group, job id, cancelled event, retention ms
-- Returns 'missing' or 'ok'.
local facts = redis.call('HMGET', KEYS[1], 'state', 'entry')
if not facts[1] then
  return 'missing'
end
if facts[1] == 'running' then
  redis.call('HSET', KEYS[1], 'cancel', 1)
elseif facts[1] == 'queued' then
  end_job(KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], {
    group = ARGV[1], id = ARGV[2], entry = facts[2],
    state = 'cancelled', event = ARGV[3], retention_ms = ARGV[4],
  })
end
return 'ok'
