-- Where a job stands. A live job is in exactly one of ready:<lane>, leased and later; its hash has
-- a lane. A tombstone is the same hash with `settled` alone.
local function job_key(digest) return ARGV[1] .. 'job:' .. digest end
local function payload_key(digest) return ARGV[1] .. 'payload:' .. digest end
local function replies_key(digest) return ARGV[1] .. 'replies:' .. digest end
local function ready_key(lane) return ARGV[1] .. 'ready:' .. lane end
-- The newest dead letter that keeps the payload; its TTL is how long.
local function kept_key(digest) return ARGV[1] .. 'kept:' .. digest end

-- Let go of a payload that no live job needs; one that a dead letter keeps stays for its time.
local function drop_payload(digest)
  local left = redis.call('PTTL', kept_key(digest))
  if left > 0 then
    redis.call('PEXPIRE', payload_key(digest), left)
  else
    redis.call('UNLINK', payload_key(digest))
  end
end

-- The bytes of every live job's payload, and their sum: one hash, so that whatever is lost by hand,
-- a sum never outlives its parts. It goes with the last job.
local function drop_bytes(digests)
  if #digests == 0 then return end
  local key, sum = ARGV[1] .. 'bytes', 0
  for _, size in ipairs(redis.call('HMGET', key, unpack(digests))) do
    sum = sum + (tonumber(size or 0) or 0)
  end
  if redis.call('HDEL', key, unpack(digests)) == 0 then return end
  redis.call('HINCRBY', key, 'sum', -sum)
  if redis.call('HLEN', key) == 1 then redis.call('DEL', key) end
end

-- Remove what is left of a ghost: a digest in a set whose hash is gone.
local function forget(digest)
  redis.call('ZREM', ARGV[1] .. 'deadlines', digest)
  redis.call('UNLINK', replies_key(digest))
  drop_bytes({digest})
  drop_payload(digest)
end

-- Put a job that left `leased` or `later` back into its own lane with its own score.
local function requeue(digest)
  redis.call('ZREM', ARGV[1] .. 'leased', digest)
  redis.call('ZREM', ARGV[1] .. 'later', digest)
  local job = redis.call('HMGET', job_key(digest), 'lane', 'score')
  if not job[1] then return forget(digest) end
  redis.call('ZADD', ready_key(job[1]), job[2], digest)
end

-- Undo a delivery that did the worker no harm, so that it never makes a job look poisonous.
local function undo_delivery(digest)
  if tonumber(redis.call('HGET', job_key(digest), 'deliveries') or 0) > 0 then
    redis.call('HINCRBY', job_key(digest), 'deliveries', -1)
  end
end

-- Whether `token` is the fence of the lease that runs for this job now.
local function holds(digest, token)
  return redis.call('ZSCORE', ARGV[1] .. 'leased', digest)
    and redis.call('HGET', job_key(digest), 'token') == token
end
