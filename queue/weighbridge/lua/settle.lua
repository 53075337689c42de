#!lua flags=allow-oom
-- End jobs whose results have been written.
--
-- Promise: in one step the job leaves every set, its payload goes, its replies are written, and a
-- tombstone stays for a minute so that a late duplicate finds the result instead of a new job.
-- A job that failed becomes a dead letter, which keeps its payload for a replay as long as it may.
-- Acts only for a lease that holds. A job with many replies answers `more` and stays leased until
-- they are all written: 10,000 in one script would block the server for 74 ms.
--
-- KEYS  leased, later, deadlines, dead, done
-- ARGV  1 prefix  2 reply_ttl_ms  3 longest dead-letter list  4 dead_ttl_ms (of a dead letter's
--       payload; 0 keeps none)
--       then 5 a job: digest, token, result (JSON text), code ('' if counted), attempts
-- Returns {status…}; status: settled, stale, more
--@include numbers
--@include jobs
--@include letters

local leased, later, deadlines, dead, done = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local reply_ttl, max_dead, dead_ttl = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local REPLIES = 200
local TOMBSTONE_MS = 60000

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
local function settle(digest, token, result, code, attempts)
  if not holds(digest, token) then return 'stale' end
  local replies = budget > 0 and redis.call('SPOP', replies_key(digest), budget) or {}
  for _, member in ipairs(replies) do reply(member, result) end
  budget = budget - #replies
  if redis.call('EXISTS', replies_key(digest)) == 1 then return 'more' end
  redis.call('DEL', kept_key(digest))
  if code ~= '' then bury(digest, code, attempts) end
  local lane = redis.call('HGET', job_key(digest), 'lane')
  redis.call('ZREM', ready_key(lane), digest)
  redis.call('ZREM', leased, digest)
  redis.call('ZREM', later, digest)
  redis.call('ZREM', deadlines, digest)
  drop_bytes(digest)
  drop_payload(digest)
  redis.call('DEL', job_key(digest))
  redis.call('HSET', job_key(digest), 'settled', code == '' and 'counted' or 'failed')
  redis.call('PEXPIRE', job_key(digest), TOMBSTONE_MS)
  return 'settled'
end

local statuses, settled = {}, {}
for i = 5, #ARGV, 5 do
  local status = settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
  if status == 'settled' then settled[#settled + 1] = ARGV[i] end
  statuses[#statuses + 1] = status
end
if #settled > 0 then redis.call('PUBLISH', done, table.concat(settled, ',')) end
return statuses
