-- Removes a subscription from a shard, with what is stored about it; commits that matched it are
-- refused.
-- KEYS  subs, subs:version, paused:deliver, rate_limit:deliver, overflow
-- ARGV  id, the next version of the subscriptions (a word that was never used)
-- Returns  1, or 0 if there was none
-- Safe twice: the second time there is none.
-- Uses: prove
prove('HDEL SET')
for n = 3, 5 do redis.call('HDEL', KEYS[n], ARGV[1]) end
redis.call('SET', KEYS[2], ARGV[2])
return redis.call('HDEL', KEYS[1], ARGV[1])
