-- Stands before every script that can end a job.
local function forget_entry(waiting, group, entry)
  redis.call('XACK', waiting, group, entry)
  redis.call('XDEL', waiting, entry)
  -- Whoever submits makes it anew; so nothing is left of a model that is not drawn any more.
  if redis.call('XLEN', waiting) == 0 then
    redis.call('DEL', waiting)
  end
end

local function release(outstanding, id, promised)
  redis.call('ZREM', outstanding, id)
  local bytes = outstanding .. ':bytes'
  if redis.call('EXISTS', outstanding) == 0 then
    redis.call('DEL', bytes)
  elseif promised then
    redis.call('DECRBY', bytes, promised)
  end
end

local function end_job(job, log, pictures, waiting, outstanding, end_of)
  redis.call('XADD', log, '*', 'event', end_of.event)
  redis.call('HSET', job, 'state', end_of.state)
  forget_entry(waiting, end_of.group, end_of.entry)
  redis.call('DEL', job .. ':attendance')
  local upload = job .. ':upload'
  if not end_of.keeps_upload then
    redis.call('DEL', upload)
  end
  local others = redis.call('HMGET', job, 'in_flight', 'once', 'footprint')
  release(outstanding, end_of.id, others[3])
  if others[1] then
    redis.call('SREM', others[1], end_of.id)
  end
  -- Not before its end: a job may wait for a worker longer than results are kept.
  for _, key in ipairs({ job, log, pictures, upload, others[2] or nil }) do
    redis.call('PEXPIRE', key, end_of.retention_ms)
  end
end

