-- When workers come back: visits are scheduled like slots. `turn` is the first slot that no visit
-- has been promised yet. A turn of `few` slots begins when its last slot comes inside the horizon.
-- Nobody owns the slots: a late turn takes what is left, one that follows missed turns takes theirs,
-- and what lies free for longer than the patience is anybody's. Pure arithmetic, like the bucket's.
local FEW = 4            -- slots a turn: more would make the flow uneven
local REVISIT = 200000   -- but fewer where every worker comes this often even so,
local TRIP = 20000       -- and more where one would have to come more often than this
local AT_ONCE = 64       -- leases a visit at most, unless a trip's worth is more

local function slots_a_turn(bucket, living)
  local round = bucket.iv * math.max(1, living)
  local few = math.min(FEW, math.floor(bucket.horizon / 2 / bucket.iv), math.ceil(REVISIT / round))
  return math.max(1, few, math.ceil(TRIP / round))
end

-- The first moment for which a turn can be promised.
local function line_begins(bucket)
  if bucket.paused > 0 then return bucket.now + MAX_PAUSE end
  if bucket.hold ~= '' then return math.max(bucket.tat, bucket.probe_at) end
  return bucket.tat
end

-- Begin a visit; `left` is what the worker says remains of its turn: nil if it has none.
local function begin_visit(bucket, living, left)
  local visit = {few = slots_a_turn(bucket, living), left = left}
  local iv, horizon = bucket.iv, bucket.horizon
  visit.ahead = (visit.few - 1) * iv - horizon - bucket.now
  -- Whole intervals behind the next free slot: where slots were granted late, turns promised by the
  -- old grid would all come a little early, find nothing, and leave their slots to the lookers.
  local waiting = math.max(0, math.floor((bucket.turn - bucket.tat) / iv + 0.5))
  bucket.turn = math.max(bucket.tat + waiting * iv, line_begins(bucket))
  visit.mine = left ~= nil and left <= 0
  if not visit.mine and bucket.turn + visit.ahead <= 0 then
    -- Nobody waits, so this is a turn too.
    visit.mine, visit.left = true, nil
    bucket.turn = bucket.turn + visit.few * iv
  end
  local quota
  if visit.mine then
    -- A turn that is a trip late was missed.
    quota = visit.few + free_slots(bucket, horizon - visit.few * iv - TRIP)
  else
    local patience = math.max(math.floor(horizon * 3 / 4), (visit.few - 1) * iv)
    quota = free_slots(bucket, horizon - patience)
  end
  local at_once = math.max(AT_ONCE, math.ceil(TRIP / iv))
  visit.quota = math.min(at_once, quota, free_slots(bucket, horizon))
  return visit
end

-- End a visit after its slots were used; returns the wait until the worker's next turn.
local function end_visit(bucket, visit)
  bucket.turn = math.max(bucket.turn, line_begins(bucket))
  local wait = math.max(0, bucket.turn + visit.ahead)
  -- An early look keeps its turn, unless the end of the line is nearer.
  if visit.mine or visit.left == nil or wait + visit.few * bucket.iv < visit.left then
    bucket.turn = bucket.turn + visit.few * bucket.iv
    return wait
  end
  return visit.left
end

-- The longest sleep of a worker whose turn is further away: some 50 looks a second in all, so that
-- the slots of the dead are found.
local function longest_sleep(living)
  return math.max(1000000, math.min(10000000, living * 20000))
end
