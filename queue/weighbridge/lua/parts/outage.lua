-- Where most calls fail, more of them help neither the endpoint nor the jobs: the fleet holds, and
-- its probes find out when it is over. Pure arithmetic, like the bucket's.
--
-- Each failure counts one up, each answer one down: where fewer than half of the calls fail, that
-- stays near nothing whatever the time (at 30 % it gets to 20 once in some 100,000,000 calls).
local MOSTLY = 20           -- failures more than answers,
local LONGER = 500000       -- or as many as there are slots in this: answers may be slower to come
local AFTER_OUTAGE = 500000 -- millionths of the rate, with which the fleet comes back

-- Note how a worker's calls went, those permitted in `generation`; true if a hold begins. Calls from
-- before the last penalty tell nothing new.
local function judge_calls(bucket, answered, failed, generation)
  if bucket.hold ~= '' or generation ~= bucket.generation then return false end
  bucket.failures = math.max(0, bucket.failures + failed - answered)
  if bucket.failures < math.max(MOSTLY, LONGER / bucket.iv) then return false end
  bucket.failures, bucket.generation = 0, bucket.generation + 1
  hold_bucket(bucket, FAILING, 0)
  return true
end

-- End a hold whose probe succeeded.
local function end_hold(bucket)
  if bucket.hold == FAILING then cut_rate(bucket, AFTER_OUTAGE, bucket.now) end
  bucket.hold = ''
end
