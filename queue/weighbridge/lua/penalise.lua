#!lua flags=allow-oom
-- Pause the whole fleet after a 429, and slow it down once.
--
-- Promise: the longest pause counts, they never add up; all the 429s of one generation make one
-- cut, from which the rate regrows by itself; a hold lets one probe through at growing intervals.
-- A repeated script finds the next generation and cuts nothing.
--
-- KEYS  bucket
-- ARGV  1 wait_us  2 generation (of the call that was refused)  3 hold ('' or why only probes go)
--       4 ramp ('1': it punishes a steep rise)  5 interval_us (if the bucket has none)
-- Returns {wait until the pause ends in us, 1 if this was a new generation}
--@include numbers
--@include regrowth
--@include bucket
--@include stored_bucket

local now = server_time()
local bucket = load_bucket(KEYS[1], now, tonumber(ARGV[5]))
local before = bucket.generation
penalise_bucket(bucket, tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1')
save_bucket(KEYS[1], bucket)
return {int(bucket.blocked_until - now), bucket.generation - before}
