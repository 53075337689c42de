#!lua
-- Reserve amounts of a run's budget under a lease, or spend them at once.
--
-- Promise: an amount is granted only if all of it is left, so that concurrent callers never overshoot.
-- Granting is idempotent by id: a repeated script grants nothing twice, it only renews the lease.
-- Amounts are judged in their order, each by itself: a smaller one may still fit after a refusal.
--
-- KEYS  budget, held, amounts
-- ARGV  1 limit in nanodollars, which must be the run's  2 lease_us  3 '1' to spend at once
--       then 2 a reservation: id, nanodollars
-- Returns {limit that stands, '' if the run is gone; status…}; status: granted, or what was left,
--       as text
--@include numbers
--@include budget

if not limit or limit ~= tonumber(ARGV[1]) then return {known[1] or ''} end
local ends, at_once = int(now + tonumber(ARGV[2])), ARGV[3] == '1'

-- Ended leases go back before anybody is refused for want of their money.
local function fits(amount)
  while left() < amount and sweep() > 0 do end
  return amount <= left()
end

local function grant(id, amount)
  if at_once then
    spent, amount = spent + amount, 0
  end
  reserved = reserved + amount
  redis.call('HSET', amounts, id, int(amount))
  redis.call('ZADD', held, ends, id)
end

sweep()
local replies = {int(limit)}
for i = 4, #ARGV, 2 do
  local id, amount = ARGV[i], tonumber(ARGV[i + 1])
  if redis.call('ZSCORE', held, id) then
    redis.call('ZADD', held, ends, id)
    replies[#replies + 1] = 'granted'
  elseif fits(amount) then
    grant(id, amount)
    replies[#replies + 1] = 'granted'
  else
    replies[#replies + 1] = int(left())
  end
end
save()
return replies
