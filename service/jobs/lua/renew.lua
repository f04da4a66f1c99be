-- Prolong a lease.
-- KEYS: job, waiting
-- ARGV: epoch, group
-- Returns 'lost', 'cancel' or 'ok'.
local facts = redis.call('HMGET', KEYS[1], 'epoch', 'state', 'cancel', 'entry')
if facts[1] ~= ARGV[1] or facts[2] ~= 'running' then
  return 'lost'
end
redis.call('XCLAIM', KEYS[2], ARGV[2], ARGV[2], 0, facts[4], 'JUSTID')
return (facts[3] or abandoned(KEYS[1])) and 'cancel' or 'ok'
