#!lua flags=allow-cross-slot-keys
-- Put jobs into the queue. A job is its digest: a duplicate joins the live job, so a script that
-- runs twice does no harm.
--
-- Promise: after `new` or `joined` the job is live, its payload has no TTL and its reply is noted;
-- no live job is ever refused; a job never moves to a worse place.
-- A small payload comes along; any other must have been SET before (with a TTL of its own).
--
-- KEYS  deadlines, bucket, inbox
-- ARGV  1 prefix  2 waiter (who waits, for cancel)  3 max_queue  4 max_bytes (of all live payloads)
--       5 consumer group of the inbox  6 what every result's key begins with ('': do not look)
--       then 11 a job: digest, lane, producer, model, betas, deadline_us, force ('1' passes a
--       tombstone and a result), reply ('' or a member of replies:<digest>), entry (inbox entry to
--       acknowledge), trace ('' or a line, weighbridge/trace_context.py), payload ('': was SET)
-- Returns {depth, bytes, interval_us, results, status…}; status: new, joined, settled, full (of
--       jobs), full_bytes, payload_missing, cached; `results` are those of the cached, in order
--@include numbers
--@include jobs
--@include doorbell

local deadlines, bucket, inbox = KEYS[1], KEYS[2], KEYS[3]
local waiter, max_queue, max_bytes = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local group, results = ARGV[5], ARGV[6]
local FIRST_JOB, WORDS = 7, 11 -- arguments
local now = server_time()
local TRACES = 2048 -- bytes of a job's trace contexts

local function queue_bytes(live)
  local sum = redis.call('HGET', ARGV[1] .. 'bytes', 'sum')
  -- What jobs left here that were removed by hand must not fill an empty queue.
  if sum and live == 0 then
    redis.call('UNLINK', ARGV[1] .. 'bytes')
    return 0
  end
  return tonumber(sum) or 0
end

-- What one call reads once, and writes once at its end: the lanes' virtual times and the producers'
-- last scores, the live jobs and their bytes.
local depth = redis.call('ZCARD', deadlines)
local bytes = queue_bytes(depth)
local lanes = {}
local stored = redis.call('HMGET', bucket, 'interval', 'virtual:interactive', 'virtual:batch')
local virtual = {interactive = tonumber(stored[2]) or 0, batch = tonumber(stored[3]) or 0}

local function open_lane(name)
  local lane = lanes[name]
  if lane then return lane end
  lane = {fair = ARGV[1] .. 'fair:' .. name, virtual = virtual[name], last = {}, noted = {}}
  redis.call('ZREMRANGEBYSCORE', lane.fair, '-inf', lane.virtual)
  lanes[name] = lane
  return lane
end

-- Start-time fair queueing: a producer's next job stands one step after its last one, and never
-- before the lane's virtual time, so that nobody saves up turns.
local function fair_score(name, producer)
  local lane = open_lane(name)
  local last = lane.last[producer] or tonumber(redis.call('ZSCORE', lane.fair, producer)) or 0
  lane.last[producer] = last
  return math.max(lane.virtual, last) + 1
end

local function note_score(name, producer, score)
  lanes[name].last[producer], lanes[name].noted[producer] = score, score
end

local function write_scores()
  for _, lane in pairs(lanes) do
    for producer, score in pairs(lane.noted) do redis.call('ZADD', lane.fair, score, producer) end
  end
end

-- A joining submit may lift the job into the higher lane or to a better place, never push it back.
local function improve(digest, old, lane, producer)
  if old.lane == 'interactive' and lane == 'batch' then return end
  local score = fair_score(lane, producer)
  if lane == old.lane and score >= old.score then return end
  redis.call('HSET', job_key(digest), 'lane', lane, 'score', score)
  note_score(lane, producer, score)
  if redis.call('ZREM', ready_key(old.lane), digest) == 1 then
    redis.call('ZADD', ready_key(lane), score, digest)
  end
end

local function append(fields, name, value)
  fields[#fields + 1], fields[#fields + 2] = name, value
end

-- New jobs enter the sets together: at the end, before somebody joins, or when they are so many that
-- one command could hardly take more.
local TOGETHER = 1000
local new

local function expect_new()
  new = {digests = {}, sizes = {}, interactive = {}, batch = {}, deadlines = {}}
end

-- Note the payloads' bytes, once, whatever is repeated.
local function note_bytes()
  local key, noted, sum = ARGV[1] .. 'bytes', {}, 0
  local known = redis.call('HMGET', key, unpack(new.digests))
  for i, digest in ipairs(new.digests) do
    if not known[i] then
      append(noted, digest, new.sizes[i])
      sum = sum + new.sizes[i]
    end
  end
  if sum > 0 then
    redis.call('HSET', key, unpack(noted))
    redis.call('HINCRBY', key, 'sum', sum)
  end
end

local function write_new()
  local count = #new.digests
  if count == 0 then return end
  for _, lane in ipairs({'interactive', 'batch'}) do
    if #new[lane] > 0 then redis.call('ZADD', ready_key(lane), unpack(new[lane])) end
  end
  local added = redis.call('ZADD', deadlines, 'GT', unpack(new.deadlines))
  if added < count then
    -- Hashes were lost: their jobs may still stand here, and would stand in two sets.
    redis.call('ZREM', ARGV[1] .. 'leased', unpack(new.digests))
    redis.call('ZREM', ARGV[1] .. 'later', unpack(new.digests))
  end
  depth = depth + added
  note_bytes()
  expect_new()
end

-- `passed`: a tombstone stands there.
local function create(job, size, passed)
  local score = fair_score(job.lane, job.producer)
  note_score(job.lane, job.producer, score)
  local fields = {'lane', job.lane, 'producer', job.producer, 'model', job.model,
    'betas', job.betas, 'score', score, 'deliveries', 0, 'attempts', 0, 'submitted', int(now)}
  if waiter ~= '' then append(fields, 'waiter:' .. waiter, 1) end
  if job.trace ~= '' then append(fields, 'trace', job.trace) end
  if passed then redis.call('DEL', job_key(job.digest)) end
  redis.call('HSET', job_key(job.digest), unpack(fields))
  append(new[job.lane], score, job.digest)
  append(new.deadlines, int(now + job.deadline), job.digest)
  table.insert(new.digests, job.digest)
  table.insert(new.sizes, size)
  bytes = bytes + size
  if #new.digests == TOGETHER then write_new() end
end

-- What both a new and a joined job need: a lasting payload, its reply noted.
local function attach(job)
  if job.payload == '' then
    redis.call('PERSIST', payload_key(job.digest))
  else
    redis.call('SET', payload_key(job.digest), job.payload)
  end
  if job.reply ~= '' then redis.call('SADD', replies_key(job.digest), job.reply) end
  if job.entry ~= '' then
    redis.call('XACK', inbox, group, job.entry)
    redis.call('XDEL', inbox, job.entry)
  end
end

-- Whoever joins is noted behind who made the job, once, while there is room.
local function join_trace(job)
  if job.trace == '' then return end
  local noted = redis.call('HGET', job_key(job.digest), 'trace') or ''
  if string.find(noted, job.trace, 1, true) or #noted + #job.trace > TRACES then return end
  redis.call('HSET', job_key(job.digest), 'trace', noted .. '\n' .. job.trace)
end

local function refuse(job, status)
  drop_payload(job.digest)
  return status
end

local function join(job, old)
  write_new()
  improve(job.digest, {lane = old[1], score = tonumber(old[2])}, job.lane, job.producer)
  if waiter ~= '' then redis.call('HSET', job_key(job.digest), 'waiter:' .. waiter, 1) end
  redis.call('ZADD', deadlines, 'GT', int(now + job.deadline), job.digest)
  attach(job)
  join_trace(job)
  return 'joined'
end

local found = {}

local function is_cached(job)
  local look = results ~= '' and not job.force
  local text = look and redis.call('GET', results .. '{' .. job.digest .. '}')
  if text then table.insert(found, text) end
  return text
end

local function submit(job)
  if is_cached(job) then return 'cached' end
  local old = redis.call('HMGET', job_key(job.digest), 'lane', 'score', 'settled')
  if old[1] then return join(job, old) end
  if old[3] and not job.force then return refuse(job, 'settled') end
  if depth + #new.digests >= max_queue then return refuse(job, 'full') end
  local size = job.payload == '' and redis.call('STRLEN', payload_key(job.digest)) or #job.payload
  if size == 0 then return 'payload_missing' end
  if bytes + size > max_bytes then return refuse(job, 'full_bytes') end
  create(job, size, old[3])
  attach(job)
  return 'new'
end

local statuses, fresh = {}, 0
expect_new()
for i = FIRST_JOB, #ARGV, WORDS do
  local status = submit({
    digest = ARGV[i], lane = ARGV[i + 1], producer = ARGV[i + 2], model = ARGV[i + 3],
    betas = ARGV[i + 4], deadline = tonumber(ARGV[i + 5]), force = ARGV[i + 6] == '1',
    reply = ARGV[i + 7], entry = ARGV[i + 8], trace = ARGV[i + 9], payload = ARGV[i + 10],
  })
  if status == 'new' then fresh = fresh + 1 end
  statuses[#statuses + 1] = status
end
write_new()
write_scores()
if fresh > 0 then ring(fresh) end
return {depth, bytes, tonumber(stored[1]) or 0, found, unpack(statuses)}
