-- Where the bucket lives: one hash, read and written whole.
local function load_bucket(key, now, default_interval)
  local names = {'hold', unpack(BUCKET_FIELDS)}
  local values, fields = redis.call('HMGET', key, unpack(names)), {}
  for i, name in ipairs(names) do fields[name] = values[i] or nil end
  return open_bucket(fields, now, default_interval)
end

local function save_bucket(key, bucket)
  local pairs_ = {'hold', bucket.hold}
  for _, name in ipairs(BUCKET_FIELDS) do
    pairs_[#pairs_ + 1] = name
    pairs_[#pairs_ + 1] = int(bucket[name])
  end
  redis.call('HSET', key, unpack(pairs_))
end

-- Permits by minute, so that a look from outside sees the rate in use.
local function note_granted(key, now, granted)
  if granted == 0 then return end
  local minute = math.floor(now / 60000000)
  local seen = tonumber(redis.call('HGET', key, 'minute')) or 0
  if minute ~= seen then
    local last = minute == seen + 1 and redis.call('HGET', key, 'this_minute') or '0'
    redis.call('HSET', key, 'minute', int(minute), 'last_minute', last or '0', 'this_minute', 0)
  end
  redis.call('HINCRBY', key, 'this_minute', granted)
  redis.call('HINCRBY', key, 'granted', granted)
end
