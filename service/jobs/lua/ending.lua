-- Stands before every script that can end a job.
local function end_job(job, log, pictures, waiting, outstanding, end_of)
  redis.call('XADD', log, '*', 'event', end_of.event)
  redis.call('HSET', job, 'state', end_of.state)
  redis.call('XACK', waiting, end_of.group, end_of.entry)
  redis.call('XDEL', waiting, end_of.entry)
  redis.call('ZREM', outstanding, end_of.id)
  redis.call('DEL', job .. ':upload')
  local others = redis.call('HMGET', job, 'in_flight', 'once')
  if others[1] then
    redis.call('SREM', others[1], end_of.id)
  end
  -- Not before its end: a job may wait for a worker longer than results are kept.
  for _, key in ipairs({ job, log, pictures, others[2] or nil }) do
    redis.call('PEXPIRE', key, end_of.retention_ms)
  end
end

