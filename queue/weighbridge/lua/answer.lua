#!lua flags=allow-oom
-- Answer inbox entries that need no job: cached or uncountable.
--
-- Promise: the reply is written and the entry leaves the inbox in one step; a repeated script
-- writes the same reply again.
--
-- KEYS  inbox
-- ARGV  1 prefix  2 consumer group  3 reply_ttl_ms
--       then 4 an entry: entry id, reply id, bell ('1' or '0'), reply (JSON text)
-- Returns the number of entries answered

local inbox, group, ttl = KEYS[1], ARGV[2], ARGV[3]
local answered = 0
for i = 4, #ARGV, 4 do
  local entry, id, bell, text = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  redis.call('SET', ARGV[1] .. 'reply:' .. id, text, 'PX', ttl)
  if bell == '1' then
    redis.call('DEL', ARGV[1] .. 'bell:' .. id)
    redis.call('RPUSH', ARGV[1] .. 'bell:' .. id, text)
    redis.call('PEXPIRE', ARGV[1] .. 'bell:' .. id, ttl)
  end
  redis.call('XACK', inbox, group, entry)
  redis.call('XDEL', inbox, entry)
  answered = answered + 1
end
return answered
