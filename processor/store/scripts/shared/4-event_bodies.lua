-- Bodies of events, each in one key for as long as deliveries need it.

local KEPT = 1209600 -- s

-- Keeps the body of an event for so many more deliveries. While deliveries of it wait, its bytes
-- stay the same, even if the event is published again: returns whether there was such a body.
local function keep_body(key, body, deliveries)
  local n = tonumber(redis.call('HGET', key, 'n')) or 0
  if n > 0 then
    redis.call('HSET', key, 'n', n + deliveries)
  else
    redis.call('HSET', key, 'body', body, 'n', deliveries)
    redis.call('EXPIRE', key, KEPT)
  end
  return n > 0
end

-- Notes that a delivery of an event has ended; the last one removes the body.
local function release_body(key)
  local n = tonumber(redis.call('HGET', key, 'n')) or 0
  if n > 1 then redis.call('HSET', key, 'n', n - 1) else redis.call('DEL', key) end
end
