#!lua flags=allow-oom
-- Withdraw a job, if nobody else waits for it.
--
-- Promise: a job that another waiter or a reply wants, or that a worker holds, goes on. A repeated
-- script finds its own waiter gone and withdraws nothing that others joined meanwhile.
--
-- KEYS  leased, later, deadlines
-- ARGV  1 prefix  2 waiter  3 digest
-- Returns withdrawn, wanted (others wait), leased (too late), unknown (no such live job)
--@include jobs

local leased, later, deadlines = KEYS[1], KEYS[2], KEYS[3]
local waiter, digest = ARGV[2], ARGV[3]

local function wanted_by_others()
  for _, field in ipairs(redis.call('HKEYS', job_key(digest))) do
    if string.sub(field, 1, 7) == 'waiter:' then return true end
  end
  return redis.call('EXISTS', replies_key(digest)) == 1
end

local lane = redis.call('HGET', job_key(digest), 'lane')
if not lane then return 'unknown' end
if redis.call('HDEL', job_key(digest), 'waiter:' .. waiter) == 0 then return 'wanted' end
if wanted_by_others() then return 'wanted' end
if redis.call('ZSCORE', leased, digest) then return 'leased' end
redis.call('ZREM', ready_key(lane), digest)
redis.call('ZREM', later, digest)
redis.call('ZREM', deadlines, digest)
drop_bytes({digest})
drop_payload(digest)
redis.call('DEL', job_key(digest))
return 'withdrawn'
