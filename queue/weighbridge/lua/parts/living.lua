local LIFE = 30000000 -- whoever has not visited for so long is not counted any more

-- Note a visitor among the living, forget the dead, and count who is left.
local function count_living(workers, visitor, now)
  redis.call('ZADD', workers, int(now), visitor)
  redis.call('ZREMRANGEBYSCORE', workers, '-inf', int(now - LIFE))
  redis.call('PEXPIRE', workers, 3600000)
  return redis.call('ZCARD', workers)
end
