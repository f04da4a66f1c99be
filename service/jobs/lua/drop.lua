-- Forget a dead letter.
-- KEYS: dead letters, the upload of the dead job
-- ARGV: entry of the letter
redis.call('DEL', KEYS[2])
redis.call('XDEL', KEYS[1], ARGV[1])
if redis.call('XLEN', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[1])
end
return 'ok'
