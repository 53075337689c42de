-- Wake up to `times` idle workers. The list never holds more entries than there are workers, and
-- goes by itself when nobody comes.
local function ring(times)
  local doorbell, workers = ARGV[1] .. 'doorbell', ARGV[1] .. 'workers'
  local room = redis.call('ZCARD', workers)
  if room > 0 then room = room - redis.call('LLEN', doorbell) end
  for _ = 1, math.min(times, room) do redis.call('RPUSH', doorbell, 1) end
  if math.min(times, room) > 0 then redis.call('PEXPIRE', doorbell, 60000) end
end
