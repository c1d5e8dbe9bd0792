-- Writes a subscription to a shard; commits that matched events without it are refused.
-- KEYS  subs, subs:version
-- ARGV  id, the subscription, the next version of the subscriptions (a word that was never used)
-- Returns  1
-- Safe twice: the same is written again.
-- Uses: prove
prove('HSET SET')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('SET', KEYS[2], ARGV[3])
return 1
