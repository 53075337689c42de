#!lua flags=allow-oom
-- Take a failure back, so that its job can run again and its waiters hear of the new end alone.
--
-- Promise: only the text that the caller read goes; what was written since stays, a count above all.
-- A repeated script finds nothing.
--
-- KEYS  result:{<digest>}
-- ARGV  1 result (JSON text)
-- Returns 1 if it was there

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
