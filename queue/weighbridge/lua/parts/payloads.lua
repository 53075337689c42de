-- A small payload travels with its lease, which saves the worker a round trip. A large one never
-- passes through a script: it would stand still all others.
local SMALL = 8192         -- bytes of one
local AT_ONCE_BYTES = 262144 -- of all that travel with one visit
local travelling = 0

-- Returns a payload's size, 0 if there is none, and the payload itself or '' if it stays.
local function pack_payload(digest)
  local size = redis.call('STRLEN', payload_key(digest))
  if size == 0 or size > SMALL or travelling + size > AT_ONCE_BYTES then return size, '' end
  travelling = travelling + size
  return size, redis.call('GET', payload_key(digest))
end
