-- Stands before scripts that look at what waits: one stream per priority of a model, best first.
-- Each priority is worth a head start over the next one; whose acceptance less head start is
-- earliest goes first. So a job is overtaken for a while, never for good.
local PRIORITIES = { 'high', 'normal', 'low' }

local function exists(waiting)
  return redis.call('EXISTS', waiting) == 1
end

-- The streams of a model, and the place of a priority among them.
local function streams_of(model, of_priority, prefix)
  local streams, mine = {}, 0
  for place, priority in ipairs(PRIORITIES) do
    streams[place] = prefix .. priority .. ':' .. model
    mine = priority == of_priority and place or mine
  end
  return streams, mine
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

-- Lets an entry that was leased wait again: idle for ever, it counts as abandoned at once.
local function wait_again(waiting, group, entry)
  redis.call('XCLAIM', waiting, group, group, 0, entry, 'IDLE', 2147483647, 'JUSTID')
end

-- How many were leased before and wait: pending too, but idle for ever.
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

-- How many go before an entry of the stream at `mine`, counted up to `most`. What was handed back
-- goes before what no worker has had yet, best priority first.
local function jobs_ahead(streams, mine, entry, group, most, head_start_ms)
  local waits_again = #redis.call('XPENDING', streams[mine], group, entry, entry, 1) == 1
  local my_turn = turn(entry, mine, head_start_ms)
  local ahead = 0
  for place, waiting in ipairs(streams) do
    if exists(waiting) and not (waits_again and place > mine) then
      local before = waits_again and place == mine and '(' .. entry or '+'
      ahead = ahead + num_handed_back(waiting, group, before, most)
      if not waits_again and place == mine then
        ahead = ahead + #redis.call('XRANGE', waiting, '(' .. last_delivered(waiting, group),
          '(' .. entry, 'COUNT', most)
      elseif not waits_again then
        local limit = my_turn + (2 - place) * head_start_ms
        ahead = ahead + num_before(waiting, group, limit, place < mine, most)
      end
    end
  end
  return math.min(ahead, most)
end

-- How many wait and how many run; of those that were handed back, up to `most` are told from these.
local function waiting_and_running(waiting, group, most)
  local pending = redis.call('XPENDING', waiting, group)[1]
  local running = pending - num_handed_back(waiting, group, '+', most)
  return redis.call('XLEN', waiting) - running, running
end

-- How many of a model run.
local function jobs_running(streams, group, most)
  local all_running = 0
  for _, waiting in ipairs(streams) do
    if exists(waiting) then
      local _, running = waiting_and_running(waiting, group, most)
      all_running = all_running + running
    end
  end
  return all_running
end

