-- Append an event with its pictures, unless this image is already past it.
-- KEYS: job, log, pictures
-- ARGV: epoch, image index, how far the event brings the image, event,
--       then digest and bytes of each picture
-- Returns 'lost', 'cancel' or 'ok'.
local progress = 'image:' .. ARGV[2]
local facts = redis.call('HMGET', KEYS[1], 'epoch', 'state', 'cancel', progress)
if facts[1] ~= ARGV[1] or facts[2] ~= 'running' then
  return 'lost'
end
if tonumber(facts[4] or 0) < tonumber(ARGV[3]) then
  for index = 5, #ARGV, 2 do
    redis.call('HSET', KEYS[3], ARGV[index], ARGV[index + 1])
  end
  redis.call('HSET', KEYS[1], progress, ARGV[3], 'begun', 1)
  redis.call('XADD', KEYS[2], '*', 'event', ARGV[4])
end
return (facts[3] or abandoned(KEYS[1])) and 'cancel' or 'ok'
