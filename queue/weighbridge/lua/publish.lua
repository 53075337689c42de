#!lua flags=allow-oom
-- Write a result where plain SET is refused because the server is full: a queue that cannot publish
-- could never drain.
--
-- Promise: a failure never overwrites a count; a repeated script writes the same text again.
--
-- KEYS  result:{<digest>}
-- ARGV  1 result (JSON text)  2 ttl_ms  3 failed ('1': only where there is none)
-- Returns 1 if it was written

local args = {'SET', KEYS[1], ARGV[1], 'PX', ARGV[2]}
if ARGV[3] == '1' then args[#args + 1] = 'NX' end
return redis.call(unpack(args)) and 1 or 0
