-- Where what is known of a worker's calls lives: in its own hash.
local CALLER_FIELDS = {'answered_in_row', 'failed_in_row', 'failing_at'}
local LONE_STATE = 'failing_alone'

-- Judge a worker's calls, and remember how they went. Returns what judge_calls does, and keeps_off.
local function judge_worker(bucket, key, state, answered, failed, generation)
  answered, failed, generation = tonumber(answered), tonumber(failed), tonumber(generation)
  local caller, failing = {lone = state == LONE_STATE}, ''
  if answered + failed > 0 then
    local stored = redis.call('HMGET', key, unpack(CALLER_FIELDS))
    for i, name in ipairs(CALLER_FIELDS) do caller[name] = tonumber(stored[i] or 0) end
    -- From before the server's clock jumped back.
    if caller.failing_at > bucket.now then caller.failing_at = bucket.now end
    failing = judge_calls(bucket, caller, answered, failed, generation)
    local noted = {}
    for _, name in ipairs(CALLER_FIELDS) do
      noted[#noted + 1] = name
      noted[#noted + 1] = int(caller[name])
    end
    redis.call('HSET', key, unpack(noted))
  end
  return failing, keeps_off(bucket, caller, failing)
end
