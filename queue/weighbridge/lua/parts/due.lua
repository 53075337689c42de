-- What falls due in the sets that are scored by time.
local MOVES = 32        -- ended leases, or due retries, a visit, so that no visit is long
-- No legal score of a lease or a retry lies further ahead than this; one that does stems from before
-- the server's clock jumped back, and counts as due.
local LEGAL = 600000000

local function between(key, from, to, limit)
  return redis.call('ZRANGEBYSCORE', key, from, to, 'LIMIT', 0, limit)
end

local function due(key, now)
  if redis.call('ZCARD', key) == 0 then return {} end
  local found = between(key, '-inf', int(now), MOVES)
  if #found > 0 then return found end
  return between(key, int(now + LEGAL), '+inf', MOVES)
end

-- How long it is until the first of some sets falls due; -1 if nothing does.
local function next_due(keys, now)
  local soonest = -1
  for _, key in ipairs(keys) do
    local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    local wait = head[2] and math.max(0, tonumber(head[2]) - now)
    if wait and (soonest < 0 or wait < soonest) then soonest = wait end
  end
  return int(soonest)
end
