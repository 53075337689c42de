#!lua flags=allow-oom
-- End jobs whose results have been written.
--
-- Promise: in one step the job leaves every set, its payload goes, its replies are written, and a
-- tombstone stays for a minute so that a late duplicate finds the result instead of a new job.
-- Acts only for a lease that holds. A job with many replies answers `more` and stays leased until
-- they are all written: 10,000 in one script would block the server for 74 ms.
--
-- KEYS  leased, later, deadlines, dead, done
-- ARGV  1 prefix  2 reply_ttl_ms  3 longest dead-letter list
--       then 4 a job: digest, token, result (JSON text), code ('' if counted)
-- Returns {status…}; status: settled, stale, more
--@include numbers
--@include jobs

local leased, later, deadlines, dead, done = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local reply_ttl, max_dead = ARGV[2], ARGV[3]
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

local function bury(digest, code)
  local job = redis.call('HMGET', job_key(digest), 'lane', 'producer', 'model', 'attempts', 'deliveries')
  redis.call('XADD', dead, 'MAXLEN', '~', max_dead, '*', 'digest', digest, 'code', code,
    'lane', job[1], 'producer', job[2], 'model', job[3], 'attempts', job[4], 'deliveries', job[5])
end

local budget = REPLIES
local function settle(digest, token, result, code)
  if not holds(digest, token) then return 'stale' end
  local replies = budget > 0 and redis.call('SPOP', replies_key(digest), budget) or {}
  for _, member in ipairs(replies) do reply(member, result) end
  budget = budget - #replies
  if redis.call('EXISTS', replies_key(digest)) == 1 then return 'more' end
  if code ~= '' then bury(digest, code) end
  local lane = redis.call('HGET', job_key(digest), 'lane')
  redis.call('ZREM', ready_key(lane), digest)
  redis.call('ZREM', leased, digest)
  redis.call('ZREM', later, digest)
  redis.call('ZREM', deadlines, digest)
  drop_bytes(digest)
  redis.call('UNLINK', payload_key(digest))
  redis.call('DEL', job_key(digest))
  redis.call('HSET', job_key(digest), 'settled', code == '' and 'counted' or 'failed')
  redis.call('PEXPIRE', job_key(digest), TOMBSTONE_MS)
  return 'settled'
end

local statuses, settled = {}, {}
for i = 4, #ARGV, 4 do
  local status = settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
  if status == 'settled' then settled[#settled + 1] = ARGV[i] end
  statuses[#statuses + 1] = status
end
if #settled > 0 then redis.call('PUBLISH', done, table.concat(settled, ',')) end
return statuses
