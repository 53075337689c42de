-- What no script leaves behind, but a hand may, or a worker of an older version. Looked at by
-- visits that find nothing: a job that stands in no set goes back to its lane, and an empty queue has no
-- bytes.
local LOOKS = 32 -- jobs a visit

local function return_stranded(deadlines, leased, later, bucket_key)
  local live = redis.call('ZCARD', deadlines)
  if live == 0 then return redis.call('DEL', ARGV[1] .. 'bytes') end
  local from = (redis.call('HINCRBY', bucket_key, 'looked', LOOKS) - LOOKS) % live
  for _, digest in ipairs(redis.call('ZRANGE', deadlines, int(from), int(from + LOOKS - 1))) do
    local held = redis.call('ZSCORE', leased, digest) or redis.call('ZSCORE', later, digest)
    if not held then requeue(digest) end
  end
end
