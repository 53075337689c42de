-- Who empties its hands for a suspect: one worker at a time, so that the others go on, and for twice
-- the longest time between two of its visits, so that its death costs no more.
local CLAIM = 10000000

-- The suspect that this worker has claimed, or nil.
local function claimed_suspect(stored, worker)
  return stored.suspects_to == worker and stored.suspect or nil
end

-- Claim a suspect, or claim it for longer; false while another worker has a claim.
local function claim_suspect(key, worker, digest, now)
  local claim = redis.call('HMGET', key, 'suspects_to', 'suspects_until')
  local ends = tonumber(claim[2]) or 0
  if claim[1] ~= worker and now < ends and ends <= now + CLAIM then return false end
  redis.call('HSET', key, 'suspects_to', worker, 'suspects_until', int(now + CLAIM),
    'suspect', digest)
  return true
end

local function end_claim(key, digest)
  if redis.call('HGET', key, 'suspect') ~= digest then return end
  redis.call('HDEL', key, 'suspects_to', 'suspects_until', 'suspect')
end
