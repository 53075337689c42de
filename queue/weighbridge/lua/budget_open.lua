#!lua flags=allow-oom
-- Open a run's budget, or look at it. The first that opens it sets the limit.
--
-- Promise: whoever comes later learns the limit that stands and changes nothing but what time has
-- changed: reservations whose lease has ended go back first.
--
-- KEYS  budget, held, amounts
-- ARGV  1 limit in nanodollars, or '' to look
-- Returns {limit, spent, reserved} as text; limit is '' where there is no run
--@include numbers
--@include budget

limit = limit or tonumber(ARGV[1])
if not limit then return {'', '0', '0'} end
for _ = 1, 50 do
  if sweep() == 0 then break end
end
save()
return {int(limit), int(spent), int(reserved)}
