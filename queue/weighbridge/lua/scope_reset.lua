#!lua flags=allow-oom
-- Forget a namespace's scope, so that the next worker writes its own.
--
-- Promise: never under a living worker, whose counts depend on it. A repeated script finds nothing.
--
-- KEYS  scope, workers
-- Returns {worker…}: those that live and keep it; empty if the scope is gone
--@include numbers
--@include living

local scope, workers = KEYS[1], KEYS[2]
redis.call('ZREMRANGEBYSCORE', workers, '-inf', int(server_time() - LIFE))
local living = {}
for _, name in ipairs(redis.call('ZRANGE', workers, 0, -1)) do
  -- Who only draws permits writes no counts.
  if string.sub(name, 1, 8) ~= 'permits:' then living[#living + 1] = name end
end
if #living == 0 then redis.call('DEL', scope) end
return living
