#!lua flags=allow-oom
-- Drop dead letters.
--
-- Promise: a letter goes together with the payload that it keeps, but for that of a live job. A
-- repeated script finds neither and does nothing.
--
-- KEYS  dead
-- ARGV  1 prefix, then 2 a letter: entry id, digest
-- Returns the number of letters dropped
--@include jobs
--@include letters

local dropped = 0
for i = 2, #ARGV, 2 do dropped = dropped + drop_letter(KEYS[1], ARGV[i], ARGV[i + 1]) end
return dropped
