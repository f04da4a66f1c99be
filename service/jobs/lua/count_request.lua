-- Take one request from a tenant's budget (service/jobs/request_budget.py says what it is).
-- KEYS: the time at which the budget is full again
-- ARGV: requests per minute, microseconds in which one comes back
-- Returns {1 if it was allowed, when the budget is full again, now}, the times as text.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
-- A limit that was lowered since must not lock its tenant out for longer than the new one says.
full_at = math.min(full_at, now + limit * interval)
local allowed = full_at + interval - now <= limit * interval
if allowed then
  full_at = full_at + interval
  local text = string.format('%.0f', full_at)
  redis.call('SET', KEYS[1], text, 'PX', math.ceil((full_at - now) / 1000) + 1)
end
return { allowed and 1 or 0, string.format('%.0f', full_at), string.format('%.0f', now) }
