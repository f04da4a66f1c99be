-- Give a worker jobs: first those whose holder is silent or has handed them back, then new ones.
-- A job that was cancelled meanwhile, or has had too many leases, ends here.
-- KEYS: waiting, outstanding
-- ARGV: group, worker, count, lease ms, max attempts, job prefix, retention ms,
--       started event with %d for the attempt, failed event, cancelled event
-- Returns a list of {job id, request, created, epoch, attempts}, and the id of the newest entry.
local function finish(job, id, state, event)
  redis.call('XADD', job .. ':log', '*', 'event', event)
  redis.call('HSET', job, 'state', state)
  redis.call('ZREM', KEYS[2], id)
  redis.call('PEXPIRE', job, ARGV[7])
  redis.call('PEXPIRE', job .. ':log', ARGV[7])
end

local function forget(entry)
  redis.call('XACK', KEYS[1], ARGV[1], entry)
  redis.call('XDEL', KEYS[1], entry)
end

-- The group starts at the very first entry: jobs may have been accepted before any worker came.
-- It is made here, every time, because a Redis that lost its data has lost its groups too.
redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')

local count = tonumber(ARGV[3])
local entries = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[4], '0-0', 'COUNT', count)[2]
if #entries < count then
  local fresh = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count - #entries,
    'STREAMS', KEYS[1], '>')
  for _, entry in ipairs(fresh and fresh[1][2] or {}) do
    table.insert(entries, entry)
  end
end

local leases = {}
for _, entry in ipairs(entries) do
  local id = entry[2][2]
  local job = ARGV[6] .. id
  local state = redis.call('HGET', job, 'state')
  if state ~= 'queued' and state ~= 'running' then
    forget(entry[1])
  elseif redis.call('HEXISTS', job, 'cancel') == 1 then
    finish(job, id, 'cancelled', ARGV[10])
    forget(entry[1])
  elseif tonumber(redis.call('HGET', job, 'attempts')) >= tonumber(ARGV[5]) then
    finish(job, id, 'failed', ARGV[9])
    forget(entry[1])
  else
    local epoch = redis.call('HINCRBY', job, 'epoch', 1)
    local attempts = redis.call('HINCRBY', job, 'attempts', 1)
    redis.call('HSET', job, 'state', 'running', 'entry', entry[1])
    redis.call('XADD', job .. ':log', '*', 'event', (ARGV[8]:gsub('%%d', attempts)))
    local facts = redis.call('HMGET', job, 'request', 'created')
    table.insert(leases, { id, facts[1], facts[2], epoch, attempts })
  end
end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return { leases, newest and newest[1] or '0-0' }
