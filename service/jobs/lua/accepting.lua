-- Stands before every script that accepts a job.

-- Bytes in use, bytes that jobs which have not ended may still come to, and the most that both
-- together may be; 0 is no limit. Four fifths of what Redis may have: the rest is for what nobody
-- can foretell, and so that what was accepted can be written to its end.
local function memory_of(outstanding, budget)
  local info = redis.pcall('INFO', 'memory')
  if type(info) ~= 'string' then
    info = '' -- some services do not let us ask
  end
  local used = tonumber(string.match(info, '\nused_memory:(%d+)') or 0)
  local most = math.floor(tonumber(string.match(info, '\nmaxmemory:(%d+)') or 0) * 0.8)
  local promised = tonumber(redis.call('GET', outstanding .. ':bytes') or 0)
  budget = tonumber(budget)
  if budget > 0 and (most == 0 or budget < most) then
    most = budget
  end
  return used, promised, most
end

local function has_memory(outstanding, footprint, budget)
  local used, promised, most = memory_of(outstanding, budget)
  return most == 0 or used + promised + footprint <= most
end

local function told(how, id, job)
  local facts = redis.call('HMGET', job, 'request', 'state', 'created', 'attempts')
  return { how, id, unpack(facts) }
end

-- The hash, its place in the queue and its first event. Returns the place, and when that was.
local function accept_job(job, log, waiting, outstanding, in_flight, new)
  if redis.call('EXISTS', waiting) == 0 then
    -- From the very first entry: jobs may be accepted before any worker comes.
    redis.call('XGROUP', 'CREATE', waiting, new.group, '0', 'MKSTREAM')
  end
  local now = redis.call('TIME')
  local created = string.format('%.0f', now[1] * 1000000 + now[2])
  local entry = redis.call('XADD', waiting, '*', 'job', new.id)
  redis.call('HSET', job, 'request', new.request, 'model', new.model, 'priority', new.priority,
    'state', 'queued', 'created', created, 'epoch', 0, 'attempts', 0, 'entry', entry,
    'tenant', new.tenant, 'in_flight', in_flight, 'footprint', new.footprint)
  if tonumber(new.start_ms) >= 0 then
    redis.call('HSET', job, 'start_by', string.format('%.0f', created + new.start_ms * 1000))
  end
  redis.call('XADD', log, '*', 'event', new.event)
  redis.call('ZADD', outstanding, created, new.id)
  redis.call('INCRBY', outstanding .. ':bytes', new.footprint)
  redis.call('SADD', in_flight, new.id)
  return entry, created
end

