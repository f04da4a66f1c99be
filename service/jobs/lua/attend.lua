-- Say that somebody waits for jobs. Those that are not attached, or have ended, are left alone.
-- KEYS: jobs
-- ARGV: attendee, for how many milliseconds
for _, job in ipairs(KEYS) do
  if attached(job) then
    attend(job, ARGV[1], ARGV[2])
  end
end
return 'ok'
