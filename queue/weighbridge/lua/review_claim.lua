#!lua flags=allow-oom
-- Claim approvals, or give claimed ones back.
--
-- Promise: an approval is claimed once, by one claimant, however many ask; a claimant that asks again
-- hears the same. What costs more than was approved is not admitted.
--
-- KEYS  an approval each
-- ARGV  1 claim or return, then 2 an approval: claimant, nanodollars ('' if no money is asked for)
-- Returns {1 or 0 each}; 1: this claimant's, or returned

local function within(most, price)
  if price == '' then return true end
  return most ~= '' and tonumber(price) <= tonumber(most)
end

local function claim(key, claimant, price)
  local approval = redis.call('HMGET', key, 'approval', 'most', 'claimant')
  if not approval[1] then return 0 end
  if approval[3] then return approval[3] == claimant and 1 or 0 end
  if not within(approval[2], price) then return 0 end
  redis.call('HSET', key, 'claimant', claimant)
  return 1
end

local function give_back(key, claimant)
  if redis.call('HGET', key, 'claimant') ~= claimant then return 0 end
  return redis.call('HDEL', key, 'claimant')
end

local act = ARGV[1] == 'return' and give_back or claim
local replies = {}
for i, key in ipairs(KEYS) do replies[i] = act(key, ARGV[2 * i], ARGV[2 * i + 1]) end
return replies
