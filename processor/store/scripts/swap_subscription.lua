-- Replaces how a subscription is kept, if it still is what was read; what it says stays.
-- KEYS  subs
-- ARGV  id, what was read, what it is to be
-- Returns  1, or 0 when it was changed or removed meanwhile
-- Invariant: a change that somebody else made in between is never overwritten. Commits need not
-- match anew, so subs:version stays.
-- Safe twice: the second time it is not what was read, and stays what it is.
prove('HGET HSET')
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
