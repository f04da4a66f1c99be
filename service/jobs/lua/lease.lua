-- Give a worker jobs: first those whose holder is silent or has handed them back, then new ones.
-- A job that was cancelled meanwhile, has had too many leases, has waited for its first one for
-- longer than its caller allows, or for too long for its own engine, ends here.
-- KEYS: outstanding, dead letters, what the worker's latest call took, then waiting of each priority
-- ARGV: group, worker, count, lease ms, max attempts, retention ms,
--       prefix of jobs, suffix of logs, suffix of pictures (which jobs it meets, only the stream knows),
--       started event with %d for the attempt, failed event, cancelled event,
--       event of a job that did not start in time, head start ms, max dead letters,
--       ms for which these are kept,
--       bands that a job may have at most which is leased for the first time, or 0 for all,
--       engine of the worker or '' for any, event of a job whose engine does not come,
--       ms for which it is waited for, id of the call
-- Returns a list of {job id, request, created, epoch, attempts, tenant, now in microseconds,
-- waiting, 1 if it is attached, bands that it may have at most, the request's id, its traceparent
-- and tracestate or ''}, and the ids of the newest entry of
-- each priority.
local outstanding, dead, taken = KEYS[1], KEYS[2], KEYS[3]
local FIRST_WAITING = 4
local group, worker, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
local leases = {}
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function end_entry(waiting, entry, id, state, event, keeps_upload)
  local job = ARGV[7] .. id
  end_job(job, job .. ARGV[8], job .. ARGV[9], waiting, outstanding, {
    group = group, id = id, entry = entry, state = state, event = event, retention_ms = ARGV[6],
    keeps_upload = keeps_upload,
  })
end

local function bury(job, id, event)
  local facts = redis.call('HMGET', job, 'request', 'tenant', 'attempts', 'worker', 'footprint')
  redis.call('XADD', dead, 'MAXLEN', ARGV[15], '*', 'job', id, 'request', facts[1],
    'tenant', facts[2] or '', 'attempts', facts[3], 'worker', facts[4] or '',
    'footprint', facts[5] or 0, 'event', event)
  redis.call('PEXPIRE', dead, ARGV[16])
end

local function hold(waiting, job, id, entry)
  local epoch = redis.call('HINCRBY', job, 'epoch', 1)
  local attempts = redis.call('HINCRBY', job, 'attempts', 1)
  redis.call('HSET', job, 'state', 'running', 'entry', entry, 'worker', worker)
  redis.call('HDEL', job, 'start_by', 'stranded') -- it has started, whatever becomes of this lease
  if ARGV[18] ~= '' then
    redis.call('HSET', job, 'engine', ARGV[18])
  end
  redis.call('HSETNX', job, 'max_bands', ARGV[17]) -- a takeover draws as many
  redis.call('XADD', job .. ARGV[8], '*', 'event', (ARGV[10]:gsub('%%d', attempts)))
  local facts = redis.call('HMGET', job, 'request', 'created', 'tenant', 'max_bands',
    'request_id', 'traceparent', 'tracestate')
  table.insert(leases, { id, facts[1], facts[2], epoch, attempts, facts[3],
    string.format('%.0f', now), waiting, attached(job) and 1 or 0, facts[4],
    facts[5] or '', facts[6] or '', facts[7] or '' })
end

-- What one engine has begun, another does not go on with: the job waits for a worker of its own.
local function leave_to_its_own(waiting, job, id, entry, state)
  redis.call('HSETNX', job, 'stranded', string.format('%.0f', now))
  if now - redis.call('HGET', job, 'stranded') > ARGV[20] * 1000 then
    bury(job, id, ARGV[19])
    end_entry(waiting, entry, id, 'failed', ARGV[19], true)
    return
  end
  if state == 'running' then
    redis.call('HINCRBY', job, 'epoch', 1)
    redis.call('HSET', job, 'state', 'queued')
  end
  wait_again(waiting, group, entry)
end

local function take(waiting, found)
  local entry, id = found[1], found[2][2]
  local job = ARGV[7] .. id
  local facts = redis.call('HMGET', job, 'state', 'cancel', 'attempts', 'start_by', 'begun', 'engine')
  local begun_by = facts[5] and facts[6] or ARGV[18]
  if facts[1] ~= 'queued' and facts[1] ~= 'running' then
    forget_entry(waiting, group, entry)
  elseif facts[2] or abandoned(job) then
    end_entry(waiting, entry, id, 'cancelled', ARGV[12])
  elseif tonumber(facts[3]) >= tonumber(ARGV[5]) then
    bury(job, id, ARGV[11])
    end_entry(waiting, entry, id, 'failed', ARGV[11], true)
  elseif facts[4] and now > tonumber(facts[4]) then
    end_entry(waiting, entry, id, 'failed', ARGV[13])
  elseif ARGV[18] ~= '' and begun_by ~= ARGV[18] then
    leave_to_its_own(waiting, job, id, entry, facts[1])
  else
    hold(waiting, job, id, entry)
  end
end

local function take_abandoned(waiting)
  -- One call looks at ten entries per entry wanted, and most of them are held: go on to the end.
  local cursor = '0-0'
  repeat
    local claimed = redis.call('XAUTOCLAIM', waiting, group, group, ARGV[4], cursor,
      'COUNT', count - #leases)
    cursor = claimed[1]
    for _, found in ipairs(claimed[2]) do
      take(waiting, found)
    end
  until cursor == '0-0' or #leases == count or not exists(waiting)
end

-- A call that is repeated because its answer was lost took nothing the second time: it is told again
-- what it took, which is prolonged, and not taken over as if its worker had died.
local function tell_again()
  local stored = redis.call('GET', taken)
  local last = stored and cmsgpack.unpack(stored)
  if not last or last.call ~= ARGV[21] then
    return
  end
  for _, lease in ipairs(last.leases) do
    local facts = redis.call('HMGET', ARGV[7] .. lease[1], 'epoch', 'state', 'entry')
    if tonumber(facts[1]) == lease[4] and facts[2] == 'running' then
      redis.call('XCLAIM', lease[8], group, group, 0, facts[3], 'JUSTID')
      lease[7] = string.format('%.0f', now)
      table.insert(leases, lease)
    end
  end
end

local function next_fresh()
  local best, best_turn
  for place = 1, #KEYS - FIRST_WAITING + 1 do
    local waiting = KEYS[place + FIRST_WAITING - 1]
    local head = exists(waiting)
      and redis.call('XRANGE', waiting, '(' .. last_delivered(waiting, group), '+', 'COUNT', 1)[1]
    local its_turn = head and turn(head[1], place, ARGV[14])
    if head and (not best or its_turn < best_turn) then
      best, best_turn = waiting, its_turn
    end
  end
  return best
end

tell_again()
for place = FIRST_WAITING, #KEYS do
  if #leases < count and exists(KEYS[place]) then
    take_abandoned(KEYS[place])
  end
end
local waiting = #leases < count and next_fresh()
while waiting and #leases < count do
  local fresh = redis.call('XREADGROUP', 'GROUP', group, group, 'COUNT', 1, 'STREAMS', waiting, '>')
  take(waiting, fresh[1][2][1])
  waiting = #leases < count and next_fresh()
end
if #leases > 0 then
  redis.call('SET', taken, cmsgpack.pack({ call = ARGV[21], leases = leases }), 'PX', ARGV[4])
end
local newest = {}
for place = FIRST_WAITING, #KEYS do
  local last = redis.call('XREVRANGE', KEYS[place], '+', '-', 'COUNT', 1)[1]
  table.insert(newest, last and last[1] or '0-0')
end
return { leases, newest }
