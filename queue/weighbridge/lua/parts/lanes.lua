-- Which lane is next, and who in it. Interactive goes first; while it waits, batch keeps every tenth
-- slot. What is known of the lanes is read at first and written at last, for a visit takes many jobs.
local LANES = {'interactive', 'batch'}

-- Read the lanes; `ready` holds their keys, `stored` what is known of them. No job may enter one until
-- they are saved.
local function load_lanes(ready, stored)
  local lanes = {ready = ready, run = tonumber(stored.interactive_run) or 0, left = {}, virtual = {}}
  for _, lane in ipairs(LANES) do
    lanes.left[lane] = redis.call('ZCARD', ready[lane])
    lanes.virtual[lane] = stored['virtual:' .. lane] or '0'
  end
  return lanes
end

-- Put what is known of the lanes among the fields that are to be written.
local function save_lanes(lanes, also)
  if not lanes.popped then return end
  also.interactive_run = int(lanes.run)
  for _, lane in ipairs(LANES) do also['virtual:' .. lane] = lanes.virtual[lane] end
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
