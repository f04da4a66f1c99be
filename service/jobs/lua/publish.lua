-- Append an event with its pictures, unless this image is already past it.
-- KEYS: job, log, one per picture
-- ARGV: epoch, image index, how far the event brings the image, event, retention ms, one per picture
-- Returns 'lost', 'cancel' or 'ok'.
local progress = 'image:' .. ARGV[2]
local facts = redis.call('HMGET', KEYS[1], 'epoch', 'state', 'cancel', progress)
if facts[1] ~= ARGV[1] or facts[2] ~= 'running' then
  return 'lost'
end
if tonumber(facts[4] or 0) < tonumber(ARGV[3]) then
  for index = 3, #KEYS do
    redis.call('SET', KEYS[index], ARGV[index + 3], 'PX', ARGV[5])
  end
  redis.call('HSET', KEYS[1], progress, ARGV[3])
  redis.call('XADD', KEYS[2], '*', 'event', ARGV[4])
end
return facts[3] and 'cancel' or 'ok'
