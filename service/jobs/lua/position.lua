-- How many jobs of its model wait ahead of one that waits.
-- KEYS: job
-- ARGV: group, highest answer, prefix of waiting (whose model it is, only the job knows),
--       head start ms
-- Returns -1 if the job does not wait, -2 if there is none.
local facts = redis.call('HMGET', KEYS[1], 'state', 'entry', 'model', 'priority')
if facts[1] ~= 'queued' then
  return facts[1] and -1 or -2
end
local group, most, entry = ARGV[1], tonumber(ARGV[2]), facts[2]
local streams, mine = {}, 0
for place, priority in ipairs(PRIORITIES) do
  streams[place] = ARGV[3] .. priority .. ':' .. facts[3]
  mine = priority == facts[4] and place or mine
end
local handed_back = #redis.call('XPENDING', streams[mine], group, entry, entry, 1) == 1
local my_turn = turn(entry, mine, ARGV[4])
local ahead = 0
for place, waiting in ipairs(streams) do
  -- What was handed back goes before what no worker has had yet, best priority first.
  if exists(waiting) and not (handed_back and place > mine) then
    local before = handed_back and place == mine and '(' .. entry or '+'
    ahead = ahead + num_handed_back(waiting, group, before, most)
    if not handed_back and place == mine then
      ahead = ahead + #redis.call('XRANGE', waiting, '(' .. last_delivered(waiting, group),
        '(' .. entry, 'COUNT', most)
    elseif not handed_back then
      ahead = ahead + num_before(waiting, group, my_turn + (2 - place) * ARGV[4], place < mine, most)
    end
  end
end
return math.min(ahead, most)
