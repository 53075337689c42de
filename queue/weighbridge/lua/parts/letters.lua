-- Drop a dead letter, and with it the payload that it keeps, but for that of a live job.
local function drop_letter(dead, letter, digest)
  local dropped = redis.call('XDEL', dead, letter)
  -- A newer letter of the same digest needs the payload still.
  if redis.call('GET', kept_key(digest)) == letter then
    redis.call('DEL', kept_key(digest))
    if redis.call('HEXISTS', job_key(digest), 'lane') == 0 then drop_payload(digest) end
  end
  return dropped
end
