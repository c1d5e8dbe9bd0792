-- Replaces the stored form of a subscription, if it still is what the caller read. Its meaning
-- stays the same, so commits need not match again, and subs:version stays.
-- KEYS  subs
-- ARGV  id, what was read, what to write
-- Returns  1, or 0 if it was changed or removed since then
-- Invariant: a change that another process made in between is never overwritten.
-- Safe twice: the second time it is not what was read, and stays as it is.
-- Uses: prove
prove('HGET HSET')
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
