-- Integers as text: Lua's own tostring() rounds microseconds since 1970 to 14 digits.
local function int(x) return string.format('%.0f', x) end

-- Microseconds by the server's clock, the only clock that decides about leases and permits.
local function server_time()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end
