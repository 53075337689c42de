#!lua flags=allow-oom
-- Give jobs back with an attempt used; each comes due again after its delay and pays like anyone.
--
-- Promise: acts only for a lease that holds, so a repeated script burns one attempt, not two. A
-- call that came back did the worker no harm, so the delivery is undone.
--
-- KEYS  leased, later
-- ARGV  1 prefix, then 3 a job: digest, token, delay_us
-- Returns {status…}; status: retried, stale
--@include numbers
--@include jobs
--@include doorbell

local leased, later = KEYS[1], KEYS[2]
local now = server_time()
local statuses, retried = {}, 0
for i = 2, #ARGV, 3 do
  local digest, status = ARGV[i], 'stale'
  if holds(digest, ARGV[i + 1]) then
    undo_delivery(digest)
    redis.call('HINCRBY', job_key(digest), 'attempts', 1)
    redis.call('ZREM', leased, digest)
    redis.call('ZADD', later, int(now + tonumber(ARGV[i + 2])), digest)
    status, retried = 'retried', retried + 1
  end
  statuses[#statuses + 1] = status
end
-- An idle worker learns by its next visit when the retry falls due.
if retried > 0 then ring(1) end
return statuses
