-- Where the jobs of a model stand, for the scripts that tell of it: each is loaded after this.

-- What was handed back is pending, as what runs is, but idle for ever (hand_back.lua).
local FOREVER = 2147483647

-- How many jobs wait ahead of an entry of the stream, counted up to `most`.
local function jobs_ahead(waiting, group, entry, most)
  -- What was handed back is older than what no worker has had yet, and goes first.
  local ahead = #redis.call('XPENDING', waiting, group, 'IDLE', FOREVER, '-', '(' .. entry, most)
  for _, facts in ipairs(redis.call('XINFO', 'GROUPS', waiting)) do
    local about = {}
    for index = 1, #facts, 2 do
      about[facts[index]] = facts[index + 1]
    end
    if about['name'] == group then
      ahead = ahead + #redis.call('XRANGE', waiting, '(' .. about['last-delivered-id'],
        '(' .. entry, 'COUNT', most)
    end
  end
  return math.min(ahead, most)
end

-- How many jobs run; of those that were handed back, up to `most` are told from them.
local function jobs_running(waiting, group, most)
  local pending = redis.call('XPENDING', waiting, group)[1]
  return pending - #redis.call('XPENDING', waiting, group, 'IDLE', FOREVER, '-', '+', most)
end

