#!lua flags=allow-oom
-- Note a living worker's figures beside what else its hash says of it.
--
-- Promise: no key comes about by it, so that none is left behind by a worker that goes meanwhile;
-- a repeated script writes the same again.
--
-- KEYS  worker:<id>
-- ARGV  1 figures (JSON, weighbridge/figures.py)
-- Returns 1, or 0 if nobody knows the worker

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'figures', ARGV[1])
return 1
