#!lua flags=allow-oom
-- Take to heart what the endpoint's own headers say of the limit.
--
-- Promise: a lower limit is adopted for ten minutes from the last time it was seen, a higher one
-- never; a bucket of theirs that runs low slows the fleet a little, at most once a second.
-- A repeated script finds its own observation and does nothing more.
--
-- KEYS  bucket
-- ARGV  1 limit (calls a minute; 0 unknown)  2 low ('1': their bucket runs low)
--       3 interval_us (if the bucket has none)
-- Returns {interval_us in force}
--@include numbers
--@include regrowth
--@include bucket
--@include stored_bucket

local now = server_time()
local bucket = load_bucket(KEYS[1], now, tonumber(ARGV[3]))
observe_bucket(bucket, tonumber(ARGV[1]), ARGV[2] == '1')
save_bucket(KEYS[1], bucket)
return {int(interval_of(bucket, now))}
