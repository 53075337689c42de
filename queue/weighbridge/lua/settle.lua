#!lua flags=allow-oom,allow-cross-slot-keys
-- End jobs: write their results, unless that was done before.
--
-- Promise: in one step the result is written, the job leaves every set, its payload goes, its replies
-- are written, and a tombstone stays for a minute so that a late duplicate finds the result instead
-- of a new job. A count is written whoever has the job by now; a failure only while the lease holds,
-- and never over a count.
-- A job that failed becomes a dead letter, which keeps its payload for a replay as long as it may.
-- Acts only for a lease that holds. A job with many replies answers `more` and stays leased until
-- they are all written: 10,000 in one script would block the server for 74 ms.
-- What one call has settled is told in one message a channel, once all of the above is true. On `told`
-- a JSON array, with the result of each job that was counted, as it is stored; of one that failed the
-- digest alone, for what stands under its key may be a count. On `done` the digests, comma-separated.
--
-- KEYS  leased, later, deadlines, dead, done, told
-- ARGV  1 prefix  2 reply_ttl_ms  3 longest dead-letter list  4 dead_ttl_ms (of a dead letter's
--       payload; 0 keeps none)  5 what every result's key begins with ('': they have been written,
--       for a cluster keeps them apart from the queue)  6 counted_ttl_ms  7 failed_ttl_ms
--       then 5 a job: digest, token, result (JSON text), code ('' if counted), attempts
-- Returns {status…}; status: settled, stale, more
--@include numbers
--@include jobs
--@include letters

local leased, later, deadlines, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local done, told = KEYS[5], KEYS[6]
local reply_ttl, max_dead, dead_ttl = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local results, counted_ttl, failed_ttl = ARGV[5], ARGV[6], ARGV[7]
local FIRST_JOB = 8 -- argument
local REPLIES = 200
local TOMBSTONE_MS = 60000

local function publish(digest, result, failed)
  if results == '' then return end
  local key = results .. '{' .. digest .. '}'
  if failed then
    redis.call('SET', key, result, 'PX', failed_ttl, 'NX')
  else
    redis.call('SET', key, result, 'PX', counted_ttl)
  end
end

-- A member is "<entry id> <bell> <reply id>"; the ids were checked at intake and need no escaping.
local function reply(member, result)
  local entry, bell, id = string.match(member, '^(%S+) (%d) (%S+)$')
  local text = '{"id":"' .. id .. '","entry":"' .. entry .. '",' .. string.sub(result, 2)
  redis.call('SET', ARGV[1] .. 'reply:' .. id, text, 'PX', reply_ttl)
  if bell == '1' then
    redis.call('DEL', ARGV[1] .. 'bell:' .. id)
    redis.call('RPUSH', ARGV[1] .. 'bell:' .. id, text)
    redis.call('PEXPIRE', ARGV[1] .. 'bell:' .. id, reply_ttl)
  end
end

-- The oldest letters go, and their payloads with them, which MAXLEN would leave behind.
local function make_room()
  local over = math.min(2, redis.call('XLEN', dead) - max_dead + 1)
  if over < 1 then return end
  for _, entry in ipairs(redis.call('XRANGE', dead, '-', '+', 'COUNT', over)) do
    drop_letter(dead, entry[1], entry[2][2])
  end
end

-- The result's message stays out of the letter: it may quote the payload.
local function bury(digest, code, attempts)
  local job = redis.call('HMGET', job_key(digest), 'lane', 'producer', 'model', 'betas', 'deliveries')
  make_room()
  local letter = redis.call('XADD', dead, '*', 'digest', digest, 'code', code, 'lane', job[1],
    'producer', job[2], 'model', job[3], 'betas', job[4], 'attempts', attempts,
    'deliveries', job[5])
  if dead_ttl > 0 and redis.call('EXISTS', payload_key(digest)) == 1 then
    redis.call('SET', kept_key(digest), letter, 'PX', ARGV[4])
  end
end

local budget = REPLIES

-- Write the replies that a job is owed, as far as the budget goes; returns whether that is all.
local function reply_to_all(digest, result)
  local asked = budget
  local replies = asked > 0 and redis.call('SPOP', replies_key(digest), asked) or {}
  for _, member in ipairs(replies) do reply(member, result) end
  budget = budget - #replies
  return #replies < asked or redis.call('EXISTS', replies_key(digest)) == 0
end

-- What leaves the sets, goes and is told at the end, in one command for all the jobs.
local ended = {digests = {}, payloads = {}, kept = {}, interactive = {}, batch = {}, told = {}}

local function settle(digest, token, result, code, attempts)
  local failed = code ~= ''
  local job = redis.call('HMGET', job_key(digest), 'token', 'lane')
  local held = job[1] == token and redis.call('ZSCORE', leased, digest)
  if held or not failed then publish(digest, result, failed) end
  if not held then return 'stale' end
  if not reply_to_all(digest, result) then return 'more' end
  table.insert(ended.digests, digest)
  table.insert(ended[job[2]], digest)
  table.insert(ended.told, failed and '"' .. digest .. '"' or result)
  if failed then
    redis.call('DEL', kept_key(digest))
    bury(digest, code, attempts)
    drop_payload(digest)
  else
    table.insert(ended.kept, kept_key(digest))
    table.insert(ended.payloads, payload_key(digest))
  end
  redis.call('DEL', job_key(digest))
  redis.call('HSET', job_key(digest), 'settled', failed and 'failed' or 'counted')
  redis.call('PEXPIRE', job_key(digest), TOMBSTONE_MS)
  return 'settled'
end

local function call_for(command, key, members)
  if #members > 0 then redis.call(command, key, unpack(members)) end
end

local function leave_all_sets()
  for _, lane in ipairs({'interactive', 'batch'}) do call_for('ZREM', ready_key(lane), ended[lane]) end
  for _, set in ipairs({leased, later, deadlines}) do call_for('ZREM', set, ended.digests) end
  drop_bytes(ended.digests)
  if #ended.kept > 0 then
    redis.call('DEL', unpack(ended.kept))
    redis.call('UNLINK', unpack(ended.payloads))
  end
end

local statuses = {}
for i = FIRST_JOB, #ARGV, 5 do
  statuses[#statuses + 1] = settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
end
leave_all_sets()
if #ended.digests > 0 then
  redis.call('PUBLISH', told, '[' .. table.concat(ended.told, ',') .. ']')
  redis.call('PUBLISH', done, table.concat(ended.digests, ','))
end
return statuses
