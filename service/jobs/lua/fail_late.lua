-- End the jobs that no worker has had in the time that they have for it.
-- KEYS: waiting, outstanding
-- ARGV: group, retention ms, prefix of jobs, suffix of logs, suffix of pictures, failed event
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function end_if_late(entry, id)
  local job = ARGV[3] .. id
  local start_by = redis.call('HGET', job, 'start_by')
  if start_by and now > tonumber(start_by) then
    end_job(job, job .. ARGV[4], job .. ARGV[5], KEYS[1], KEYS[2], {
      group = ARGV[1], id = id, entry = entry, state = 'failed', event = ARGV[6],
      retention_ms = ARGV[2],
    })
  end
end

if redis.call('EXISTS', KEYS[1]) == 0 then
  return 'ok'
end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local about = {}
  for index = 1, #group, 2 do
    about[group[index]] = group[index + 1]
  end
  if about['name'] == ARGV[1] then
    -- What was delivered once has started. There are no more entries than the queue is deep.
    local fresh = redis.call('XRANGE', KEYS[1], '(' .. about['last-delivered-id'], '+')
    for _, found in ipairs(fresh) do
      end_if_late(found[1], found[2][2])
    end
  end
end
return 'ok'
