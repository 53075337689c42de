#!lua flags=allow-oom
-- Give jobs back unharmed: no attempt used, the delivery undone, own lane, own place.
--
-- Promise: acts only for a lease that holds, so a repeated script does nothing.
--
-- KEYS  leased, later
-- ARGV  1 prefix, then 2 a job: digest, token
-- Returns {status…}; status: released, stale
--@include numbers
--@include jobs
--@include doorbell

local statuses, released = {}, 0
for i = 2, #ARGV, 2 do
  local status = 'stale'
  if holds(ARGV[i], ARGV[i + 1]) then
    undo_delivery(ARGV[i])
    requeue(ARGV[i])
    status, released = 'released', released + 1
  end
  statuses[#statuses + 1] = status
end
if released > 0 then ring(released) end
return statuses
