-- Where most calls fail, more of them help neither the endpoint nor the jobs. Either the endpoint is
-- not well: the fleet holds, and its probes find out when it is over. Or one worker's own network is
-- not, for others are answered: it stays away by itself. Pure arithmetic, like the bucket's.
--
-- Each failure counts one up, each answer one down: where fewer than half of the calls fail, that
-- stays near nothing whatever the time (at 30 % it gets to 20 once in some 100,000,000 calls).
--
-- A caller is what is known of one worker's calls:
--   answered_in_row  without a failure among them, so far; failed_in_row: without an answer
--   failing_at       since when so many failed in a row that it may be the only one, or 0
--   lone             whether it stays away because it was
local MOSTLY = 20           -- failures more than answers,
local LONGER = 500000       -- or as many as there are slots in this: answers may be slower to come
local AFTER_OUTAGE = 500000 -- millionths of the rate, with which the fleet comes back
local LONE = 8              -- failures in a row, after which a worker may be the only one that fails
local WELL = 5              -- answers in a row, by which a worker shows that the endpoint is well
local LATE = 1000000        -- but not of a moment ago: answers on their way tell of the past
local OTHERS_FIRST = 5000000

local function mostly(bucket) return math.max(MOSTLY, LONGER / bucket.iv) end

local function note_calls(bucket, caller, answered, failed)
  if failed > 0 and caller.answered_in_row >= WELL then bucket.well_at = 0 end
  caller.answered_in_row = failed > 0 and 0 or caller.answered_in_row + answered
  caller.failed_in_row = answered > 0 and 0 or caller.failed_in_row + failed
  if caller.failed_in_row < LONE then
    caller.failing_at = 0
  elseif caller.failing_at == 0 then
    caller.failing_at = bucket.now
  end
  -- What the calls of one that stays away tell, one probe tells.
  bucket.doubts = bucket.doubts + (caller.lone and math.min(1, failed) or failed)
  if answered > 0 and caller.answered_in_row >= WELL then
    bucket.well_at, bucket.doubts = bucket.now, 0
  end
end

local function begin_outage(bucket)
  bucket.failures, bucket.doubts, bucket.well_at = 0, 0, 0
  bucket.generation = bucket.generation + 1
  hold_bucket(bucket, FAILING, 0)
  return 'fleet'
end

-- Note how a worker's calls went, those permitted in `generation`. Returns who fails by that: 'fleet'
-- (a hold begins), 'worker' (this one alone), or ''. Calls from before the last penalty tell nothing
-- new.
local function judge_calls(bucket, caller, answered, failed, generation)
  if bucket.hold ~= '' or generation ~= bucket.generation then return '' end
  note_calls(bucket, caller, answered, failed)
  local others_well = bucket.well_at > 0 and bucket.doubts < mostly(bucket)
  if caller.lone then
    bucket.failures = math.max(0, bucket.failures - answered)
    return failed > 0 and bucket.doubts >= MOSTLY and begin_outage(bucket) or ''
  end
  if others_well and caller.failing_at > 0 and failed > 0 then
    return bucket.well_at >= caller.failing_at + LATE and 'worker' or ''
  end
  bucket.failures = math.max(0, bucket.failures + failed - answered)
  if failed == 0 or others_well or bucket.failures < mostly(bucket) then return '' end
  return begin_outage(bucket)
end

-- Whether a worker gets nothing by this visit. One that fails alone leaves a hold's probes to the
-- others, while there are any.
local function keeps_off(bucket, caller, failing)
  if failing == 'worker' then return true end
  return caller.lone and bucket.hold ~= '' and bucket.now < bucket.probe_at + OTHERS_FIRST
end

-- End a hold whose probe succeeded.
local function end_hold(bucket)
  if bucket.hold == FAILING then cut_rate(bucket, AFTER_OUTAGE, bucket.now) end
  bucket.hold = ''
end
