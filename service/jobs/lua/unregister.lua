-- Forget the text under an id.
-- KEYS: texts, expiries
-- ARGV: id
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 'ok'
