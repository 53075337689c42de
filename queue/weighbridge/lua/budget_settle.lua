#!lua flags=allow-oom
-- Settle reservations: what was really spent stays spent, the rest goes back. Nothing spent is a
-- release.
--
-- Promise: a reservation is settled once, so a repeated script does nothing. One whose lease has ended
-- is settled too, for its money is spent whatever others were granted meanwhile.
--
-- KEYS  budget, held, amounts
-- ARGV  2 a reservation: id, nanodollars, or '' for what was reserved
-- Returns {status…}; status: settled, late (the lease had ended), unknown (settled before, or never
--       granted)
--@include numbers
--@include budget

if not limit then
  local gone = {}
  for _ = 1, #ARGV, 2 do gone[#gone + 1] = 'unknown' end
  return gone
end

local function settle(id, real)
  local amount = tonumber(redis.call('HGET', amounts, id))
  if not amount then return 'unknown' end
  local status = 'late'
  if redis.call('ZREM', held, id) == 1 then
    reserved, status = reserved - amount, 'settled'
  end
  redis.call('HDEL', amounts, id)
  spent = spent + (tonumber(real) or amount)
  return status
end

sweep()
local statuses = {}
for i = 1, #ARGV, 2 do statuses[#statuses + 1] = settle(ARGV[i], ARGV[i + 1]) end
save()
return statuses
