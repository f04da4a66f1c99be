-- How many jobs of its model wait ahead of one that waits.
-- KEYS: job
-- ARGV: group, highest answer, prefix of waiting (whose model it is, only the job knows),
--       head start ms
-- Returns -1 if the job does not wait, -2 if there is none.
local facts = redis.call('HMGET', KEYS[1], 'state', 'entry', 'model', 'priority')
if facts[1] ~= 'queued' then
  return facts[1] and -1 or -2
end
local streams, mine = streams_of(facts[3], facts[4], ARGV[3])
return jobs_ahead(streams, mine, facts[2], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4]))
