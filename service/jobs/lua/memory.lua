-- How much memory is in use, how much is promised to jobs, and how much both may be; 0: no limit.
-- KEYS: outstanding
-- ARGV: budget of bytes or 0
-- Returns the three as text: they may be larger than what Redis answers as a number.
local used, promised, most = memory_of(KEYS[1], ARGV[1])
return { string.format('%.0f', used), string.format('%.0f', promised), string.format('%.0f', most) }
