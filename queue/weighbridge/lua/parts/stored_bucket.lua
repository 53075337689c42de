-- Where the bucket lives: one small hash, with a few things beside it that scripts keep. It is read
-- whole, for the server walks such a hash for every field that is asked for, and written at once: what
-- has changed, for few fields do, and a replica and the append-only file get all that is.
--
--   stored  all fields as they were read, texts
--   also    what is to be written beside the bucket's own fields, texts
local function load_bucket(key, now, default_interval)
  local words, fields = redis.call('HGETALL', key), {}
  for i = 1, #words, 2 do fields[words[i]] = words[i + 1] end
  local bucket = open_bucket(fields, now, default_interval)
  bucket.stored, bucket.also = fields, {}
  return bucket
end

local function save_bucket(key, bucket)
  local changed = {'hold', bucket.hold}
  local function write(name, text)
    changed[#changed + 1] = name
    changed[#changed + 1] = text
  end
  for _, name in ipairs(BUCKET_FIELDS) do
    local value = bucket[name]
    if value ~= tonumber(bucket.stored[name]) then write(name, int(value)) end
  end
  for name, text in pairs(bucket.also) do
    if text ~= bucket.stored[name] then write(name, text) end
  end
  redis.call('HSET', key, unpack(changed))
end

-- Permits by minute, so that a look from outside sees the rate in use.
local function note_granted(bucket, granted)
  if granted == 0 then return end
  local stored, also = bucket.stored, bucket.also
  local minute, seen = math.floor(bucket.now / 60000000), tonumber(stored.minute) or 0
  local this = tonumber(stored.this_minute) or 0
  if minute ~= seen then
    also.minute, also.last_minute = int(minute), int(minute == seen + 1 and this or 0)
    this = 0
  end
  also.this_minute = int(this + granted)
  also.granted = int((tonumber(stored.granted) or 0) + granted)
end
