-- Give a worker jobs: first those whose holder is silent or has handed them back, then new ones.
-- A job that was cancelled meanwhile, has had too many leases, or has waited for its first one for
-- longer than its caller allows, ends here.
-- KEYS: waiting, outstanding
-- ARGV: group, worker, count, lease ms, max attempts, retention ms,
--       prefix of jobs, suffix of logs, suffix of pictures (which jobs it meets, only the stream knows),
--       started event with %d for the attempt, failed event, cancelled event,
--       event of a job that did not start in time,
--       bands that a job may have at most which is leased for the first time, or 0 for all
-- Returns a list of {job id, request, created, epoch, attempts, tenant, now in microseconds, bands
-- that it may have at most}, and the id of the newest entry.
local waiting, outstanding = KEYS[1], KEYS[2]
local group, worker, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
local leases = {}
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function end_entry(entry, id, state, event)
  local job = ARGV[7] .. id
  end_job(job, job .. ARGV[8], job .. ARGV[9], waiting, outstanding, {
    group = group, id = id, entry = entry, state = state, event = event, retention_ms = ARGV[6],
  })
end

local function hold(job, id, entry)
  local epoch = redis.call('HINCRBY', job, 'epoch', 1)
  local attempts = redis.call('HINCRBY', job, 'attempts', 1)
  redis.call('HSET', job, 'state', 'running', 'entry', entry)
  redis.call('HDEL', job, 'start_by') -- it has started, whatever becomes of this lease
  redis.call('HSETNX', job, 'max_bands', ARGV[14]) -- a takeover draws as many
  redis.call('XADD', job .. ARGV[8], '*', 'event', (ARGV[10]:gsub('%%d', attempts)))
  local facts = redis.call('HMGET', job, 'request', 'created', 'tenant', 'max_bands')
  table.insert(leases, { id, facts[1], facts[2], epoch, attempts, facts[3],
    string.format('%.0f', now), facts[4] })
end

local function take(entries)
  for _, found in ipairs(entries) do
    local entry, id = found[1], found[2][2]
    local job = ARGV[7] .. id
    local facts = redis.call('HMGET', job, 'state', 'cancel', 'attempts', 'start_by')
    if facts[1] ~= 'queued' and facts[1] ~= 'running' then
      redis.call('XACK', waiting, group, entry)
      redis.call('XDEL', waiting, entry)
    elseif facts[2] then
      end_entry(entry, id, 'cancelled', ARGV[12])
    elseif tonumber(facts[3]) >= tonumber(ARGV[5]) then
      end_entry(entry, id, 'failed', ARGV[11])
    elseif facts[4] and now > tonumber(facts[4]) then
      end_entry(entry, id, 'failed', ARGV[13])
    else
      hold(job, id, entry)
    end
  end
end

if redis.call('EXISTS', waiting) == 0 then
  redis.call('XGROUP', 'CREATE', waiting, group, '0', 'MKSTREAM')
end
-- One call looks at ten entries per entry wanted, and most of them are held: go on to the end.
local cursor = '0-0'
repeat
  local claimed = redis.call('XAUTOCLAIM', waiting, group, worker, ARGV[4], cursor,
    'COUNT', count - #leases)
  cursor = claimed[1]
  take(claimed[2])
until cursor == '0-0' or #leases == count
while #leases < count do
  local fresh = redis.call('XREADGROUP', 'GROUP', group, worker, 'COUNT', count - #leases,
    'STREAMS', waiting, '>')
  if not fresh then
    break
  end
  take(fresh[1][2])
end
local newest = redis.call('XREVRANGE', waiting, '+', '-', 'COUNT', 1)[1]
return { leases, newest and newest[1] or '0-0' }
