#!lua
-- Write refusals into the review log.
--
-- Promise: a repeated script writes nothing twice; the log keeps its newest entries.
--
-- KEYS  review, written
-- ARGV  1 most entries, then the JSON of each refusal
-- Returns the number of entries written

if not redis.call('SET', KEYS[2], '1', 'NX', 'EX', 600) then return 0 end
for i = 2, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*', 'refusal', ARGV[i])
end
return #ARGV - 1
