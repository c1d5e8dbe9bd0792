-- Ends leases that end later than any lease that is given now: Redis' clock was set back since, and
-- nobody renews them.
-- KEYS  lanes:B, claimed:B:L
-- ARGV  lease (ms), lane; then per item: item, token
-- Returns  how many leases were ended: their items are due again
-- Invariant: a lease that was renewed has another token, and is not ended.
-- Safe twice: the second time they have ended.
-- Uses: prove, time
prove('TIME ZSCORE ZADD')
local now, ended = now_ms(), 0
for n = 3, #ARGV, 2 do
  local at = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[n]))
  if at and at == tonumber(ARGV[n + 1]) and at > now + ARGV[1] then
    redis.call('ZADD', KEYS[2], now, ARGV[n])
    redis.call('ZADD', KEYS[1], 'LT', now, ARGV[2])
    ended = ended + 1
  end
end
return ended
