-- A run's budget in whole nanodollars: `limit`, `spent` and `reserved` in a hash, the reservations by
-- the end of their lease in a sorted set, their amounts in a second hash. No script leaves
-- spent + reserved above the limit, but a settlement above its reservation: that money is gone.
--
-- An amount without a place in `held` is a reservation whose lease ended: its money went back, and
-- its holder may still turn up to say what it spent.
local KEPT = 2592000      -- seconds that a run is remembered after it was last touched: 30 days
local LONGEST = 86400000000  -- no lease is longer, so an end beyond it means that the clock jumped back
local SWEPT = 200         -- ended leases a step

local budget, held, amounts = KEYS[1], KEYS[2], KEYS[3]
local now = server_time()
local known = redis.call('HMGET', budget, 'limit', 'spent', 'reserved')
local limit = tonumber(known[1])
local spent, reserved = tonumber(known[2]) or 0, tonumber(known[3]) or 0

local function end_lease(id)
  local amount = tonumber(redis.call('HGET', amounts, id)) or 0
  reserved = reserved - amount
  redis.call('ZREM', held, id)
  -- Spent at once: the place only kept a repeated script from spending twice.
  if amount == 0 then redis.call('HDEL', amounts, id) end
end

-- Take back some ended reservations; returns how many.
local function sweep()
  local ended = redis.call('ZRANGEBYSCORE', held, '-inf', int(now), 'LIMIT', 0, SWEPT)
  if #ended == 0 then
    ended = redis.call('ZRANGEBYSCORE', held, '(' .. int(now + LONGEST), '+inf', 'LIMIT', 0, SWEPT)
  end
  for _, id in ipairs(ended) do end_lease(id) end
  return #ended
end

local function save()
  redis.call('HSET', budget, 'limit', int(limit), 'spent', int(spent), 'reserved', int(reserved))
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, KEPT) end
end

local function left() return limit - spent - reserved end
