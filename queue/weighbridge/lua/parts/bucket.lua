-- The shared token bucket in its virtual-scheduling form (GCRA), used as a slot scheduler. Pure
-- arithmetic on a table of integers, µs by one clock, so that it can be run in virtual time too.
--
--   tat            the next free slot; a missing one is an EMPTY bucket: the first slot is now
--   reach          how far ahead of the clock the last grant left tat: the farthest it can lie
--   idle_from      the end of the last slot granted; tat moves with every visit, so it cannot tell
--   turn           the first slot that no visit has been promised yet
--   interval       between two slots at the full rate, as set
--   seen_interval  the same by the endpoint's own headers, trusted until seen_until
--   cut, cut_at    the share of the rate (millionths) that a penalty left, regrowing from cut_at
--   crest          the share at which the last 429 came, until the whole rate has regrown; 0 is none
--   blocked_until  the end of the fleet's pause; pause: how far ahead it lay when it was set
--   hold           why the fleet waits for one probe to succeed, or ''; probe_at, probe_wait: when
--   failures       by how many failed calls outnumber answered ones, lately
--   well_at        when a worker that is answered always last said so, unless it failed since; or 0
--   doubts         calls that failed since then
--   generation     counts penalties; a 429 of a call from before the last one cuts nothing more
--   slow_start     the share of the rate after idleness, millionths; 0 is off
--   by_operator    1 while the rate is an operator's, which no worker's setting changes
--   paused         1 while an operator holds the fleet
local HORIZON = 100000
local MAX_PAUSE = 60000000
local MAX_HOLD = 600000000  -- between two probes
local FIRST_PROBE = 1000000 -- after a hold begins, at least
local IDLE = 10000000       -- after which a slow start begins
local FAILING = 'failing'   -- the hold for an endpoint at which most calls fail

local BUCKET_FIELDS = {
  'tat', 'reach', 'idle_from', 'turn', 'interval', 'seen_interval', 'seen_until', 'cut', 'cut_at',
  'crest', 'blocked_until', 'pause', 'probe_at', 'probe_wait', 'generation', 'slow_start',
  'by_operator', 'paused', 'failures', 'well_at', 'doubts',
}

local function interval_of(bucket, now)
  local full = bucket.interval
  if now < bucket.seen_until then full = math.max(full, bucket.seen_interval) end
  return math.ceil(full * WHOLE / share_of(bucket, now))
end

-- Make a table from the stored fields (texts or nothing), true to the invariants at `now`.
local function open_bucket(fields, now, default_interval)
  local bucket = {now = now, hold = fields.hold or ''}
  for _, name in ipairs(BUCKET_FIELDS) do bucket[name] = tonumber(fields[name]) or 0 end
  if not fields.cut then bucket.cut = WHOLE end
  if bucket.interval <= 0 then bucket.interval = default_interval end
  -- A pause or a trust longer than it was stems from before the clock jumped back.
  if bucket.blocked_until > now + bucket.pause then bucket.blocked_until = 0 end
  if bucket.seen_until > now + MAX_HOLD then bucket.seen_until = 0 end
  if bucket.cut_at > now + MAX_PAUSE then bucket.cut_at = now end
  if bucket.probe_at > now + bucket.probe_wait then bucket.probe_at = now end
  if bucket.well_at > now then bucket.well_at = 0 end
  if share_of(bucket, now) >= WHOLE then forget_cuts(bucket) end
  if bucket.slow_start > 0 and bucket.idle_from < now - IDLE then
    bucket.cut = math.min(bucket.slow_start, share_of(bucket, now))
    bucket.cut_at = math.max(now, bucket.blocked_until)
  end
  bucket.iv = interval_of(bucket, now)
  bucket.horizon = math.max(HORIZON, bucket.iv)
  -- At very high rates a slot that is due at once would be missed on its way to the worker.
  bucket.lead = bucket.iv < 1000 and 10000 or 0
  -- Slots that went by unused: the turns promised on them are void.
  if bucket.tat < now - bucket.iv / 2 then bucket.turn = 0 end
  -- The clock only takes tat nearer. One that seems to lie farther than the last grant left it saw
  -- the clock jump back; every slot granted lies before that in real time, so that starting there
  -- neither stalls nor bursts.
  if bucket.tat > now + bucket.reach and bucket.tat > bucket.blocked_until then
    bucket.tat, bucket.turn = now + bucket.reach, 0
  end
  bucket.tat = math.max(bucket.tat, now, bucket.blocked_until)
  return bucket
end

-- How many slots are free up to `horizon` from now. In a hold there is one, when a probe is due.
local function free_slots(bucket, horizon)
  if bucket.paused > 0 then return 0 end
  if bucket.hold ~= '' then
    local due = bucket.now >= math.max(bucket.probe_at, bucket.blocked_until)
    return due and bucket.tat <= bucket.now + bucket.horizon and 1 or 0
  end
  local room = bucket.now + horizon - math.max(bucket.tat, bucket.now + bucket.lead)
  return room >= 0 and math.floor(room / bucket.iv) + 1 or 0
end

-- Take the next free slot.
local function use_slot(bucket)
  local slot = math.max(bucket.tat, bucket.now + bucket.lead)
  bucket.tat = slot + bucket.iv
  bucket.idle_from, bucket.reach = bucket.tat, bucket.tat - bucket.now
  if bucket.hold ~= '' then
    bucket.probe_at = bucket.now + bucket.probe_wait
    local longest = bucket.hold == FAILING and MAX_PAUSE or MAX_HOLD
    bucket.probe_wait = math.min(longest, bucket.probe_wait * 2)
  end
  return slot
end

-- Let one probe through at a time, at growing intervals, the first after `wait`.
local function hold_bucket(bucket, hold, wait)
  bucket.hold, bucket.probe_wait = hold, math.max(FIRST_PROBE, wait)
  bucket.probe_at = bucket.now + bucket.probe_wait
end

-- One pause, and one cut for all the 429s of a generation; the longest pause counts. A call from
-- before the last penalty tells nothing new.
local function penalise_bucket(bucket, wait, generation, hold, ramp)
  wait = math.min(MAX_PAUSE, math.max(0, wait))
  bucket.blocked_until = math.max(bucket.blocked_until, bucket.now + wait)
  bucket.pause = bucket.blocked_until - bucket.now
  if hold ~= '' and bucket.hold == '' then hold_bucket(bucket, hold, wait) end
  if generation ~= bucket.generation then return end
  bucket.generation = bucket.generation + 1
  if hold == '' then cut_after_429(bucket, ramp, bucket.blocked_until) end
end

-- End a hold, a pause and an operator's pause; a cut goes on regrowing.
local function resume_bucket(bucket)
  bucket.hold, bucket.paused, bucket.turn = '', 0, 0
  bucket.blocked_until = math.min(bucket.blocked_until, bucket.now)
  bucket.cut_at = math.min(bucket.cut_at, bucket.now)
  bucket.tat = math.max(bucket.now, math.min(bucket.tat, bucket.idle_from))
end

local function observe_bucket(bucket, limit, low)
  if limit > 0 and math.ceil(60000000 / limit) > bucket.interval then
    bucket.seen_interval, bucket.seen_until = math.ceil(60000000 / limit), bucket.now + MAX_HOLD
  end
  if low and bucket.now - bucket.cut_at >= 1000000 then cut_rate(bucket, GENTLE, bucket.now) end
end
