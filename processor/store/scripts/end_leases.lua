-- Ends leases that end later than any that is given now: Redis' clock was set back meanwhile, and
-- whoever held them does not renew them.
-- KEYS  lanes:B, held:B:L
-- ARGV  lease (ms), lane; then per item: item, token
-- Returns  how many were ended: they are due again
-- Invariant: a lease that was renewed has another token, and stands.
-- Safe twice: the second time they have ended.
prove('TIME ZSCORE ZADD')
local now, ended = now_ms(), 0
for i = 3, #ARGV, 2 do
  local at = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[i]))
  if at and at == tonumber(ARGV[i + 1]) and at > now + ARGV[1] then
    redis.call('ZADD', KEYS[2], now, ARGV[i])
    redis.call('ZADD', KEYS[1], 'LT', now, ARGV[2])
    ended = ended + 1
  end
end
return ended
