-- End the jobs that no worker has had in the time that they have for it.
-- KEYS: outstanding, then waiting of each priority
-- ARGV: group, retention ms, prefix of jobs, suffix of logs, suffix of pictures, failed event
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function end_if_late(waiting, entry, id)
  local job = ARGV[3] .. id
  local start_by = redis.call('HGET', job, 'start_by')
  if start_by and now > tonumber(start_by) then
    end_job(job, job .. ARGV[4], job .. ARGV[5], waiting, KEYS[1], {
      group = ARGV[1], id = id, entry = entry, state = 'failed', event = ARGV[6],
      retention_ms = ARGV[2],
    })
  end
end

for index = 2, #KEYS do
  local waiting = KEYS[index]
  if exists(waiting) then
    -- What was delivered once has started. There are no more entries than the queue is deep.
    local fresh = redis.call('XRANGE', waiting, '(' .. last_delivered(waiting, ARGV[1]), '+')
    for _, found in ipairs(fresh) do
      end_if_late(waiting, found[1], found[2][2])
    end
  end
end
return 'ok'
