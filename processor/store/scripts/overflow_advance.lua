-- Notes how far what was left in the log for a subscription has been brought.
-- KEYS  overflow
-- ARGV  the subscription, the place up to which all is brought
-- Returns  1 when nothing is left, 0 when more was left meanwhile
-- Invariant: what a commit left behind that place stays noted, and what another has brought since
-- is not brought again. Safe twice: it is there already.
prove('HGET HDEL HSET')
local span = redis.call('HGET', KEYS[1], ARGV[1])
if not span then return 1 end
local from, last = span:match('(%S+) (%S+)')
local function before(one, other)
  local ms, n = one:match('(%d+)-(%d+)')
  local ms2, n2 = other:match('(%d+)-(%d+)')
  ms, n, ms2, n2 = tonumber(ms), tonumber(n), tonumber(ms2), tonumber(n2)
  return ms < ms2 or (ms == ms2 and n < n2)
end
if not before(ARGV[2], last) then
  redis.call('HDEL', KEYS[1], ARGV[1])
  return 1
end
if before(from, ARGV[2]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. last) end
return 0
