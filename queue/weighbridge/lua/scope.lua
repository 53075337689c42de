#!lua flags=allow-oom
-- Claim a namespace's scope: what all counts in it depend on. The first worker writes it.
--
-- Promise: whoever comes later learns the scope that stands and changes nothing.
--
-- KEYS  scope
-- ARGV  field, value, …
-- Returns the scope that stands: {field, value, …}

if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return redis.call('HGETALL', KEYS[1])
