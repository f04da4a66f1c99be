-- Stands before scripts that look at what waits: one stream per priority of a model, best first.
-- Each priority is worth a head start over the next one; whose acceptance less head start is
-- earliest goes first. So a job is overtaken for a while, never for good.
local PRIORITIES = { 'high', 'normal', 'low' }

local function exists(waiting)
  return redis.call('EXISTS', waiting) == 1
end

-- When an entry's turn is, in milliseconds; `place` is that of its priority in the list above.
local function turn(entry, place, head_start_ms)
  return tonumber(string.match(entry, '^%d+')) - (2 - place) * head_start_ms
end

-- Up to which entry workers have had the jobs.
local function last_delivered(waiting, group)
  for _, found in ipairs(redis.call('XINFO', 'GROUPS', waiting)) do
    local about = {}
    for index = 1, #found, 2 do
      about[found[index]] = found[index + 1]
    end
    if about['name'] == group then
      return about['last-delivered-id']
    end
  end
  return '0-0'
end

-- How many were handed back and wait: pending too, but idle for ever (hand_back.lua).
local function num_handed_back(waiting, group, last, most)
  return #redis.call('XPENDING', waiting, group, 'IDLE', 2147483647, '-', last, most)
end

-- How many that no worker has had have their turn before `limit`, or in it if `even` is true.
local function num_before(waiting, group, limit, even, most)
  local last = string.format('%.0f', even and limit or limit - 1)
  local fresh = redis.call('XRANGE', waiting, '(' .. last_delivered(waiting, group), last, 'COUNT',
    most)
  return #fresh
end

