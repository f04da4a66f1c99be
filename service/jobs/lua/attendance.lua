-- Stands before every script that asks whether anybody still waits for a job.
-- Beside an attached job there is a sorted set: who waits, by the millisecond until which they have
-- said so. Beside any other job there is none.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function attend(job, attendee, milliseconds)
  local until_ms = string.format('%.0f', now_ms() + milliseconds)
  redis.call('ZADD', job .. ':attendance', until_ms, attendee)
end

local function attached(job)
  return redis.call('EXISTS', job .. ':attendance') == 1
end

local function abandoned(job)
  local now = string.format('%.0f', now_ms())
  return attached(job) and redis.call('ZCOUNT', job .. ':attendance', now, '+inf') == 0
end

