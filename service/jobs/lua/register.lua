-- Keep a text under an id for a while.
-- KEYS: texts, expiries
-- ARGV: id, text, ttl ms
local now = redis.call('TIME')
local until_ms = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3]
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], string.format('%.0f', until_ms), ARGV[1])
return 'ok'
