#!lua flags=allow-oom
-- Hand out leases: jobs together with the moments (slots) at which their one call may start.
--
-- Promise: a job leaves the queue only together with its permit; slots are an interval apart over
-- all workers; a new operation first takes back what the previous, unconfirmed one granted, so a
-- lost reply costs a job nothing. A job that must end uncalled (expired, poison, payload gone) is
-- handed out with a verdict and without a permit. A suspect of being poison goes alone to a worker
-- that holds nothing else. An operation that arrives after a newer one gets nothing. Jobs that the
-- worker still holds, because it missed their slots, are served first.
--
-- KEYS  ready:interactive, ready:batch, leased, later, deadlines, bucket, workers, worker:<id>
-- ARGV  1 prefix  2 worker  3 operation  4 last operation whose reply arrived  5 want
--       6 lease_us  7 interval_us (if the bucket has none)  8 suspects in flight at this worker
--       9 version  10 concurrency  11 state (what the worker says of itself)
--       12 turn_us (what remains of the worker's turn; '' if it has none)  13 leases in flight
--       14 lead_us (how far ahead a slot must lie for this worker to be in time)
--       15 answered  16 failed (its calls since its last visit)  17 generation (of those calls)
--       then 2 a held job: digest, token
-- Returns {visit_us, longest_us (the longest sleep), left, due_us (-1: nothing falls due),
--       interval_us, generation, hold, alone (1: a suspect waits until this worker holds nothing),
--       failing ('fleet': by this visit the fleet holds, for most calls fail; 'worker': only this
--       one's do), now_us, lease…}; a lease: {digest, token, verdict, slot_us, ends_us, deliveries,
--       attempts, lane, model, betas, producer, age_us, trace, payload ('' if it is to be read)}; a
--       held job that another worker has by now comes back with the verdict `lost`; times are relative
--       to now
--@include numbers
--@include jobs
--@include payloads
--@include claim
--@include due
--@include lanes
--@include stranded
--@include doorbell
--@include living
--@include regrowth
--@include bucket
--@include outage
--@include caller
--@include turns
--@include stored_bucket

local ready = {interactive = KEYS[1], batch = KEYS[2]}
local leased, later, deadlines, bucket_key = KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local workers, worker = KEYS[7], KEYS[8]
local operation, confirmed, want = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local lease_us, interval, suspects = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local in_flight = tonumber(ARGV[13])
local now = server_time()

local bucket = load_bucket(bucket_key, now, interval)

local FIRST_HELD = 18       -- argument
local SWEEPS = 16           -- passed deadlines a visit
local SKIPS = 32            -- entries looked at beyond those granted
local OUTAGE = 10000000     -- no visit for so long: the server was away
local SETTLE_TIME = 5000000 -- after an outage live workers settle before others take over
local DAY = 86400000000     -- the longest deadline; one beyond it is set anew, not passed
local BACK_SOON = 1000000   -- a suspect that another worker will take comes back to its lane
local BURIED_BEFORE = 4     -- delivery
local ALONE_FROM = 3        -- delivery

local function take_back_unconfirmed(last)
  if (tonumber(last[1]) or 0) <= confirmed then return end
  for digest, token in string.gmatch(last[2] or '', '(%x+):(%d+)') do
    if holds(digest, token) then
      undo_delivery(digest)
      requeue(digest)
    end
  end
end

local function sign_of_life()
  local living = count_living(workers, ARGV[2], now)
  redis.call('LTRIM', ARGV[1] .. 'doorbell', 0, living - 1)
  return living
end

local function return_ended_leases()
  local stored, also = bucket.stored, bucket.also
  local visited, settle_until = tonumber(stored.visited) or now, tonumber(stored.settle_until) or 0
  if now - visited > OUTAGE then
    settle_until = now + SETTLE_TIME
    also.settle_until = int(settle_until)
  end
  also.visited = int(now)
  if now < settle_until and settle_until <= now + SETTLE_TIME then return end
  for _, digest in ipairs(due(leased, now)) do requeue(digest) end
end

local function return_due_retries()
  for _, digest in ipairs(due(later, now)) do requeue(digest) end
end

local leases, granted, leased_until = {}, {}, {}
-- Tokens start at the time, so that a lost bucket never repeats one.
local newest_token = tonumber(bucket.stored.token) or now

local function describe(digest, job, token, verdict, slot, ends, deliveries, payload)
  leases[#leases + 1] = {
    digest, token, verdict, int(math.max(0, slot - now)), int(ends - now), deliveries,
    tonumber(job.attempts), job.lane, job.model, job.betas, job.producer,
    int(now - tonumber(job.submitted)), job.trace or '', payload or '',
  }
end

local function lease(digest, job, verdict, slot, payload)
  newest_token = newest_token + 1
  local token, ends = int(newest_token), math.max(now, slot) + lease_us
  local deliveries = tonumber(job.deliveries) + 1
  redis.call('HSET', job_key(digest), 'token', token, 'deliveries', deliveries)
  leased_until[#leased_until + 1] = int(ends)
  leased_until[#leased_until + 1] = digest
  granted[#granted + 1] = digest .. ':' .. token
  describe(digest, job, token, verdict, slot, ends, deliveries, payload)
end

local JOB_FIELDS = {
  'lane', 'deliveries', 'attempts', 'model', 'betas', 'producer', 'submitted', 'score', 'trace',
}

local function read_job(digest)
  local values = redis.call('HMGET', job_key(digest), unpack(JOB_FIELDS))
  if not values[1] then return nil end
  local job = {}
  for i, name in ipairs(JOB_FIELDS) do job[name] = values[i] end
  return job
end

-- An expired job that a worker holds is left to it: the lease ends soon enough.
local function sweep_deadlines()
  for _, digest in ipairs(between(deadlines, int(now + 2 * DAY), '+inf', SWEEPS)) do
    redis.call('ZADD', deadlines, int(now + DAY), digest)
  end
  for _, digest in ipairs(between(deadlines, '-inf', int(now), SWEEPS)) do
    local job = read_job(digest)
    local ends = redis.call('ZSCORE', leased, digest)
    if not job then
      forget(digest)
    elseif ends then
      redis.call('ZADD', deadlines, int(tonumber(ends) + 1), digest)
    else
      redis.call('ZREM', ready[job.lane], digest)
      redis.call('ZREM', later, digest)
      lease(digest, job, 'expired', now)
    end
  end
end

local empty_handed = in_flight == 0 and #ARGV < FIRST_HELD
local alone = 0

-- Hand out a job that has left its lane. Returns what it cost: `call`, a slot; `uncalled`, none;
-- `alone`, a slot and no more for this worker now; `wait`, no more either.
local function hand_out_job(bucket, digest, job, calls)
  local delivery = tonumber(job.deliveries) + 1
  local size, payload = pack_payload(digest)
  if size == 0 then
    lease(digest, job, 'payload_missing', now)
  elseif delivery >= BURIED_BEFORE then
    lease(digest, job, 'poison', now)
  elseif delivery < ALONE_FROM then
    lease(digest, job, '', use_slot(bucket), payload)
    return 'call'
  elseif empty_handed and calls == 0 then
    end_claim(bucket_key, digest)
    lease(digest, job, '', use_slot(bucket), payload)
    return 'alone'
  elseif claim_suspect(bucket_key, ARGV[2], digest, now) then
    requeue(digest)
    alone = 1
    return 'wait'
  else
    redis.call('ZADD', later, int(now + BACK_SOON), digest)
  end
  return 'uncalled'
end

local function hand_out_next(bucket, lanes, lane, calls)
  local digest = pop(lanes, lane)
  local job = read_job(digest)
  if job then return hand_out_job(bucket, digest, job, calls) end
  forget(digest)
  return 'uncalled'
end

local function waits(digest, job)
  return redis.call('ZSCORE', ready[job.lane], digest) or redis.call('ZSCORE', later, digest)
end

-- The suspect for which this worker empties its hands is its first call then, and would starve if
-- it had to meet it in a lane once more. Returns nil if there is none, or the cost.
local function hand_out_claimed(bucket, quota)
  local digest = claimed_suspect(bucket.stored, ARGV[2])
  if not digest then return nil end
  local job = read_job(digest)
  if not job or not waits(digest, job) then
    end_claim(bucket_key, digest)
    return nil
  end
  if not empty_handed or quota < 1 then
    claim_suspect(bucket_key, ARGV[2], digest, now)
    alone = empty_handed and 0 or 1
    return 'wait'
  end
  redis.call('ZREM', ready[job.lane], digest)
  redis.call('ZREM', later, digest)
  return hand_out_job(bucket, digest, job, 0)
end

-- Jobs to be ended uncalled leave without a permit. From its third delivery on a job is a suspect,
-- alone with its worker, or a poison payload would bury its neighbours.
local function hand_out_from(lanes, bucket, quota, cost)
  local calls, uncalled = 0, 0
  while true do
    if cost == 'uncalled' then uncalled = uncalled + 1 end
    if cost == 'call' or cost == 'alone' then calls = calls + 1 end
    if cost == 'alone' or cost == 'wait' or calls >= quota or uncalled >= SKIPS then return calls end
    local lane = next_lane(lanes)
    if not lane then return calls end
    cost = hand_out_next(bucket, lanes, lane, calls)
  end
end

local function hand_out(bucket, quota)
  local cost = suspects > 0 and 'wait' or hand_out_claimed(bucket, quota)
  local lanes = load_lanes(ready, bucket.stored)
  local calls = hand_out_from(lanes, bucket, quota, cost)
  save_lanes(lanes, bucket.also)
  if #leased_until > 0 then redis.call('ZADD', leased, unpack(leased_until)) end
  return calls
end

-- A held job keeps its token, and is not taken back if this reply is lost: the worker has it still.
local function serve_held(bucket, quota)
  local served = 0
  for i = FIRST_HELD, #ARGV, 2 do
    local digest, token = ARGV[i], ARGV[i + 1]
    if not holds(digest, token) then
      leases[#leases + 1] = {digest, token, 'lost', '0', '0', 0, 0, 'batch', '', '', '', '0', '', ''}
    elseif served < quota then
      local slot = use_slot(bucket)
      local ends = slot + lease_us
      redis.call('ZADD', leased, int(ends), digest)
      local job = read_job(digest)
      describe(digest, job, token, '', slot, ends, tonumber(job.deliveries))
      served = served + 1
    end
  end
  return served
end

local last = redis.call('HMGET', worker, 'operation', 'granted')
if operation < (tonumber(last[1]) or 0) then
  return {'1000000', '1000000', 0, '-1', int(interval), '0', '', 0, '', int(now)}
end
take_back_unconfirmed(last)
local living = sign_of_life()
return_ended_leases()
return_due_retries()
sweep_deadlines()
bucket.lead = math.max(bucket.lead, math.min(bucket.horizon, tonumber(ARGV[14])))
local failing, kept_off = judge_worker(bucket, worker, ARGV[11], ARGV[15], ARGV[16], ARGV[17])
if kept_off then want = 0 end
local visit = begin_visit(bucket, living, tonumber(ARGV[12]))
local served = serve_held(bucket, visit.quota)
local calls = served + hand_out(bucket, math.min(want, visit.quota - served))
local wait = end_visit(bucket, visit)
note_granted(bucket, calls)
bucket.also.token = int(newest_token)
save_bucket(bucket_key, bucket)
redis.call('HSET', worker, 'version', ARGV[9], 'concurrency', ARGV[10], 'state', ARGV[11],
  'operation', ARGV[3], 'granted', table.concat(granted, ','))
redis.call('PEXPIRE', worker, 3600000)

local function count_ready()
  return redis.call('ZCARD', ready.interactive) + redis.call('ZCARD', ready.batch)
end

if #leases == 0 and count_ready() == 0 then return_stranded(deadlines, leased, later, bucket_key) end
local left = count_ready()
if left > 0 and redis.call('LLEN', ARGV[1] .. 'doorbell') == 0 then ring(1) end
return {int(wait), int(longest_sleep(living)), left, next_due({leased, later, deadlines}, now), int(bucket.iv),
  int(bucket.generation), bucket.hold, alone, failing, int(now), unpack(leases)}
