-- Which lane is next, and who in it. Interactive goes first; while it waits, batch keeps every tenth
-- slot. `ready` holds the lanes' keys.
local function next_lane(ready, bucket_key)
  local waiting = redis.call('ZCARD', ready.interactive) > 0
  if redis.call('ZCARD', ready.batch) == 0 then return waiting and 'interactive' or nil end
  if not waiting then return 'batch' end
  if redis.call('HINCRBY', bucket_key, 'interactive_run', 1) < 10 then return 'interactive' end
  redis.call('HSET', bucket_key, 'interactive_run', 0)
  return 'batch'
end

-- Take the first of a lane, and move the lane's virtual time on to it.
local function pop(ready, bucket_key, lane)
  local head = redis.call('ZPOPMIN', ready[lane])
  local virtual = tonumber(redis.call('HGET', bucket_key, 'virtual:' .. lane)) or 0
  if tonumber(head[2]) > virtual then
    redis.call('HSET', bucket_key, 'virtual:' .. lane, head[2])
  end
  return head[1]
end
