#!lua
-- Approve a digest: it will be admitted once, at no more than a price.
--
-- Promise: a repeated script neither renews an approval that was claimed meanwhile nor adds a second.
--
-- KEYS  approval, review
-- ARGV  1 id of this approval  2 most nanodollars, '' if no money was asked for  3 ttl_ms
--       then the log's entries that are answered by it
-- Returns 1 if it stands now, 0 if it stood before

local fresh = redis.call('HGET', KEYS[1], 'approval') ~= ARGV[1]
if fresh then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'approval', ARGV[1], 'most', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
for i = 4, #ARGV do redis.call('XDEL', KEYS[2], ARGV[i]) end
return fresh and 1 or 0
