-- Replaces a callback target, if it still is what was read; it ends when it would have.
-- KEYS  callback:…
-- ARGV  what was read, what it is to be
-- Returns  1, or 0 when it was changed or has ended meanwhile
-- Invariant: a change that somebody else made in between is never overwritten.
-- Safe twice: the second time it is not what was read, and stays what it is.
prove('GET SET')
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
