-- Where the bucket lives: one hash, read whole; what has changed is written, for few fields do, and
-- a replica and the append-only file get all that is.
local function load_bucket(key, now, default_interval)
  local names = {'hold', unpack(BUCKET_FIELDS)}
  local values, fields = redis.call('HMGET', key, unpack(names)), {}
  for i, name in ipairs(names) do fields[name] = values[i] or nil end
  local bucket = open_bucket(fields, now, default_interval)
  bucket.stored = fields
  return bucket
end

local function save_bucket(key, bucket)
  local changed = {'hold', bucket.hold}
  for _, name in ipairs(BUCKET_FIELDS) do
    local value = bucket[name]
    if value ~= tonumber(bucket.stored[name]) then
      changed[#changed + 1] = name
      changed[#changed + 1] = int(value)
    end
  end
  redis.call('HSET', key, unpack(changed))
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
