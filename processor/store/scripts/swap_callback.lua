-- Replaces a callback target, if it still is what the caller read; its expiry stays.
-- KEYS  callback:…
-- ARGV  what was read, what to write
-- Returns  1, or 0 if it was changed, or has expired, since then
-- Invariant: a change that another process made in between is never overwritten.
-- Safe twice: the second time it is not what was read, and stays as it is.
-- Uses: prove
prove('GET SET')
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
