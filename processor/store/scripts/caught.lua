-- Notes how far what was left in the log for a subscription has been brought.
-- KEYS  behind
-- ARGV  the subscription, the place up to which all is brought
-- Returns  1 when nothing is left, 0 when more was left meanwhile
-- Invariant: what a commit left behind that place stays noted. Safe twice: nothing is left.
local span = redis.call('HGET', KEYS[1], ARGV[1])
local last = span and span:match('%S+$')
local function order(place)
  local ms, n = place:match('(%d+)-(%d+)')
  return tonumber(ms), tonumber(n)
end
if last then
  local ms, n = order(last)
  local to_ms, to_n = order(ARGV[2])
  if ms > to_ms or (ms == to_ms and n > to_n) then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. last)
    return 0
  end
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1
