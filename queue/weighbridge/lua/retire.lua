#!lua flags=allow-oom
-- Remove the inbox's consumers whose workers are gone.
--
-- Promise: a consumer that holds entries stays until they are taken over, for removing it would
-- lose them: they would be neither new nor pending. One that lives after all makes itself anew with
-- its next read.
--
-- KEYS  inbox, workers
-- ARGV  1 consumer group  2 a consumer that leaves of its own accord, or ''
-- Returns the number of consumers removed
--@include numbers
--@include living

local inbox, workers = KEYS[1], KEYS[2]
local group, leaving = ARGV[1], ARGV[2]
local now = server_time()

local function is_gone(consumer)
  if consumer == leaving then return true end
  local seen = redis.call('ZSCORE', workers, consumer)
  return not seen or tonumber(seen) < now - LIFE
end

local function read_row(row)
  local fields = {}
  for i = 1, #row, 2 do fields[row[i]] = row[i + 1] end
  return fields
end

-- Without an inbox or a group this is an error, and there is nobody to remove.
local rows = redis.pcall('XINFO', 'CONSUMERS', inbox, group)
if rows.err then return 0 end
local removed = 0
for _, row in ipairs(rows) do
  local consumer = read_row(row)
  if consumer.pending == 0 and is_gone(consumer.name) then
    redis.call('XGROUP', 'DELCONSUMER', inbox, group, consumer.name)
    removed = removed + 1
  end
end
return removed
