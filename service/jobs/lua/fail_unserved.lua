-- Fail an attached job that no worker holds. A lease that has lapsed holds nothing.
-- KEYS: job, log, pictures, outstanding
-- ARGV: group, job id, failed event, retention ms, prefix of waiting (whose model it is, only the
--       job knows), lease ms
if not attached(KEYS[1]) then -- or it has ended, or never was
  return 'ok'
end
local facts = redis.call('HMGET', KEYS[1], 'state', 'entry', 'model', 'priority')
local waiting = ARGV[5] .. facts[4] .. ':' .. facts[3]
if facts[1] == 'running' then
  local held = redis.call('XPENDING', waiting, ARGV[1], facts[2], facts[2], 1)[1]
  if held and held[3] < tonumber(ARGV[6]) then
    return 'ok'
  end
end
end_job(KEYS[1], KEYS[2], KEYS[3], waiting, KEYS[4], {
  group = ARGV[1], id = ARGV[2], entry = facts[2],
  state = 'failed', event = ARGV[3], retention_ms = ARGV[4],
})
return 'ok'
