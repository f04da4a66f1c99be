-- How many jobs of its model wait ahead of one that waits.
-- KEYS: job
-- ARGV: group, highest answer, prefix of waiting (whose model it is, only the job knows)
-- Returns -1 if the job does not wait, -2 if there is none.
local facts = redis.call('HMGET', KEYS[1], 'state', 'entry', 'model')
if facts[1] ~= 'queued' then
  return facts[1] and -1 or -2
end
local waiting = ARGV[3] .. facts[3]
local most = tonumber(ARGV[2])
-- What was handed back is idle for ever (hand_back.lua), is older than what no worker has had yet,
-- and goes first.
local ahead = #redis.call('XPENDING', waiting, ARGV[1], 'IDLE', 2147483647, '-', '(' .. facts[2],
  most)
for _, group in ipairs(redis.call('XINFO', 'GROUPS', waiting)) do
  local about = {}
  for index = 1, #group, 2 do
    about[group[index]] = group[index + 1]
  end
  if about['name'] == ARGV[1] then
    ahead = ahead + #redis.call('XRANGE', waiting, '(' .. about['last-delivered-id'],
      '(' .. facts[2], 'COUNT', most)
  end
end
return math.min(ahead, most)
