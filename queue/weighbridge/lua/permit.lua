#!lua flags=allow-oom
-- Hand out slots without jobs: for calls to the same limit that do not go through the queue.
--
-- Promise: the slots are of the one schedule that the workers use, an interval apart; a lost reply
-- lets its slots lapse.
--
-- KEYS  bucket, workers
-- ARGV  1 caller (counted among the living)  2 want  3 interval_us (if the bucket has none)
--       4 turn_us (what remains of the caller's turn; '' if it has none)
-- Returns {visit_us, longest_us (the longest sleep), interval_us, now_us, slot_us…}; all but now_us
--       are relative to it
--@include numbers
--@include living
--@include regrowth
--@include bucket
--@include turns
--@include stored_bucket

local key, workers, now = KEYS[1], KEYS[2], server_time()
local living = count_living(workers, ARGV[1], now)
local bucket = load_bucket(key, now, tonumber(ARGV[3]))
local visit = begin_visit(bucket, living, tonumber(ARGV[4]))
local slots = {}
for i = 1, math.min(tonumber(ARGV[2]), visit.quota) do
  slots[i] = int(math.max(0, use_slot(bucket) - now))
end
local wait = end_visit(bucket, visit)
note_granted(bucket, #slots)
save_bucket(key, bucket)
return {int(wait), int(longest_sleep(living)), int(bucket.iv), int(now), unpack(slots)}
