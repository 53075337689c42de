-- Which lane is next, and who in it. Interactive goes first; while it waits, batch keeps every tenth
-- slot. What is known of the lanes is read at first and written at last, for a visit takes many jobs.
local LANES = {'interactive', 'batch'}

-- Read the lanes; `ready` holds their keys. No job may enter one until they are saved.
local function load_lanes(ready, bucket_key)
  local stored = redis.call('HMGET', bucket_key, 'interactive_run', 'virtual:interactive', 'virtual:batch')
  local lanes = {ready = ready, run = tonumber(stored[1]) or 0, left = {}, virtual = {}}
  for i, lane in ipairs(LANES) do
    lanes.left[lane] = redis.call('ZCARD', ready[lane])
    lanes.virtual[lane] = stored[i + 1] or '0'
  end
  return lanes
end

local function save_lanes(lanes, bucket_key)
  if not lanes.popped then return end
  redis.call('HSET', bucket_key, 'interactive_run', lanes.run,
    'virtual:interactive', lanes.virtual.interactive, 'virtual:batch', lanes.virtual.batch)
end

local function next_lane(lanes)
  local waiting = lanes.left.interactive > 0
  if lanes.left.batch == 0 then return waiting and 'interactive' or nil end
  if not waiting then return 'batch' end
  lanes.run = lanes.run + 1
  if lanes.run < 10 then return 'interactive' end
  lanes.run = 0
  return 'batch'
end

-- Take the first of a lane, and move the lane's virtual time on to it.
local function pop(lanes, lane)
  local head = redis.call('ZPOPMIN', lanes.ready[lane])
  lanes.left[lane], lanes.popped = lanes.left[lane] - 1, true
  if tonumber(head[2]) > tonumber(lanes.virtual[lane]) then lanes.virtual[lane] = head[2] end
  return head[1]
end
