-- How many jobs of a model wait and run, and how many would go before a new one.
-- KEYS: waiting of each priority
-- ARGV: group, how many are counted one by one at most, place of the new one's priority,
--       head start ms
-- Returns {waiting, running, ahead}.
local group, most, mine = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local all_waiting, all_running, ahead = 0, 0, 0
for place, waiting in ipairs(KEYS) do
  if exists(waiting) then
    local here, running = waiting_and_running(waiting, group, most)
    all_waiting, all_running = all_waiting + here, all_running + running
    if place <= mine then
      ahead = ahead + here
    else
      local limit = now_ms - (place - mine) * ARGV[4]
      ahead = ahead + num_handed_back(waiting, group, '+', most)
        + num_before(waiting, group, limit, false, most)
    end
  end
end
return { all_waiting, all_running, ahead }
