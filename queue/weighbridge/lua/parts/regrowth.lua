-- How the rate comes back after a cut. It regrows fast, but slowly over a plateau about the crest,
-- the share at which the last 429 came: what a client that is not ours leaves lies there, and each
-- 429 costs a pause. Beyond the plateau nobody seems to be there any more, and it regrows fast again.
-- Pure arithmetic, like the bucket's.
local WHOLE = 1000000       -- shares are millionths of the full rate
local REGROWTH = 60000000   -- from nothing to the full rate
local PLATEAU_FROM = 960000 -- of the crest
local PLATEAU_TO = 1010000
local RETURN = 105000000    -- from the foot of the plateau to the full rate, so within two minutes
local LEAST = 50000         -- of the rate, whatever the cuts
local GENTLE = 900000       -- what an early warning leaves of it, and a 429 that was no surprise
local STRICT = 800000       -- what a 429 leaves that came below the last one's plateau
local RAMP = 250000         -- what a punished steep rise leaves

local function plateau_of(bucket)
  local crest = bucket.crest
  return math.floor(crest * PLATEAU_FROM / WHOLE), math.floor(crest * PLATEAU_TO / WHOLE)
end

-- Climb towards a share, at `height` in `duration`; returns the share reached and the time left.
local function climb(share, to, height, duration, time)
  local needed = math.ceil((to - share) * duration / height)
  if needed <= time then return to, time - needed end
  return share + math.floor(time * height / duration), 0
end

-- The share of the full rate in force.
local function share_of(bucket, now)
  local share, time = bucket.cut, math.max(0, now - bucket.cut_at)
  local from, to = plateau_of(bucket)
  if share < from then share, time = climb(share, from, WHOLE, REGROWTH, time) end
  if from <= share and share < to then
    local duration = RETURN - math.floor((WHOLE - to) * REGROWTH / WHOLE)
    share, time = climb(share, to, to - from, duration, time)
  end
  return math.min(WHOLE, share + math.floor(time * WHOLE / REGROWTH))
end

-- Leave the fleet `kept` of the rate it has now.
local function cut_rate(bucket, kept, from)
  local share = share_of(bucket, bucket.now)
  bucket.cut = math.min(share, math.max(LEAST, math.floor(share * kept / WHOLE)))
  bucket.cut_at = from
end

-- A 429 that comes where the last one did, or out of the whole rate, needs a small step back; one
-- that comes below says that far less is left. After a steep rise the way back is one straight line.
local function cut_after_429(bucket, ramp, from)
  local share = share_of(bucket, bucket.now)
  local expected = share >= plateau_of(bucket)
  cut_rate(bucket, ramp and RAMP or expected and GENTLE or STRICT, from)
  bucket.crest = ramp and 0 or share
end

-- The whole rate has regrown: what was learned on the way is out of date.
local function forget_cuts(bucket) bucket.cut, bucket.crest = WHOLE, 0 end
