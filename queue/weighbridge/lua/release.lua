#!lua flags=allow-oom
-- Give jobs back unharmed: no attempt used, the delivery undone, own lane, own place.
--
-- Promise: acts only for a lease that holds, so a repeated script does nothing. A fleet's failed
-- probe goes behind its neighbours instead, so that the next one tries another job.
--
-- KEYS  leased, later
-- ARGV  1 prefix  2 behind ('1': behind its neighbours), then 2 a job: digest, token
-- Returns {status…}; status: released, stale
--@include numbers
--@include jobs
--@include doorbell

local NEIGHBOURS = 100

local function step_behind(digest)
  local job = redis.call('HMGET', job_key(digest), 'lane', 'score')
  local lane = ready_key(job[1])
  local last = redis.call('ZRANGE', lane, NEIGHBOURS - 1, NEIGHBOURS - 1, 'WITHSCORES')
  if not last[2] then last = redis.call('ZRANGE', lane, -1, -1, 'WITHSCORES') end
  local score = math.max(tonumber(job[2]), (tonumber(last[2]) or 0) + 1)
  redis.call('HSET', job_key(digest), 'score', int(score))
end

local statuses, released = {}, 0
for i = 3, #ARGV, 2 do
  local status = 'stale'
  if holds(ARGV[i], ARGV[i + 1]) then
    undo_delivery(ARGV[i])
    if ARGV[2] == '1' then step_behind(ARGV[i]) end
    requeue(ARGV[i])
    status, released = 'released', released + 1
  end
  statuses[#statuses + 1] = status
end
if released > 0 then ring(released) end
return statuses
