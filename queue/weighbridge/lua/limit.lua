#!lua flags=allow-oom
-- Set, pause or resume the limit of a running fleet.
--
-- Promise: an operator's rate stays until an operator changes it; a worker that starts sets the rate
-- only where no operator did, and what was offered last comes back when an operator releases theirs.
-- What makes slots sooner voids the promised turns and wakes everybody.
--
-- KEYS  bucket
-- ARGV  1 prefix  2 action: set, offer (by a starting worker), pause, resume, release (an operator
--       gives the rate back to the workers), probed (a hold's probe succeeded)  3 interval_us (set,
--       offer; else of a bucket that has none)
--       4 slow_start (offer: millionths of the rate after idleness, 0 is off)
-- Returns {interval_us, 1 if an operator set it, 1 if paused, hold}
--@include numbers
--@include doorbell
--@include regrowth
--@include bucket
--@include outage
--@include stored_bucket

local key, action, interval = KEYS[1], ARGV[2], tonumber(ARGV[3])
local bucket = load_bucket(key, server_time(), interval)
if action == 'set' or (action == 'offer' and bucket.by_operator == 0) then
  bucket.interval = interval
end
if action == 'set' then bucket.by_operator = 1 end
if action == 'release' then
  bucket.by_operator = 0
  bucket.interval = tonumber(redis.call('HGET', key, 'offered')) or interval
end
if action == 'offer' then
  redis.call('HSET', key, 'offered', int(interval))
  bucket.slow_start = tonumber(ARGV[4])
end
if action == 'pause' then bucket.paused = 1 end
if action == 'resume' then resume_bucket(bucket) end
if action == 'probed' then end_hold(bucket) end
-- A raised rate does not wait for the end of a long interval: tat lies as far ahead as it may now.
local ahead = interval_of(bucket, bucket.now)
bucket.reach = math.min(bucket.reach, math.max(HORIZON, ahead) + ahead)
bucket.turn = 0
save_bucket(key, bucket)
ring(1000)
return {int(bucket.interval), bucket.by_operator, bucket.paused, bucket.hold}
