-- How many jobs of its model wait ahead of one that waits.
-- KEYS: job, waiting
-- ARGV: group, highest answer
-- Returns -1 if the job does not wait.
local facts = redis.call('HMGET', KEYS[1], 'state', 'entry')
if facts[1] ~= 'queued' then
  return -1
end
local most = tonumber(ARGV[2])
-- What was handed back is idle for ever (hand_back.lua), is older than what no worker has had yet,
-- and goes first.
local ahead = #redis.call('XPENDING', KEYS[2], ARGV[1], 'IDLE', 2147483647, '-', '(' .. facts[2],
  most)
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[2])) do
  local about = {}
  for index = 1, #group, 2 do
    about[group[index]] = group[index + 1]
  end
  if about['name'] == ARGV[1] then
    ahead = ahead + #redis.call('XRANGE', KEYS[2], '(' .. about['last-delivered-id'],
      '(' .. facts[2], 'COUNT', most)
  end
end
return math.min(ahead, most)
