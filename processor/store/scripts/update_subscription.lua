-- Changes a subscription, unless any subscription was changed since it was read, and publishes an
-- event about that in the same call: either both are done, or neither.
-- KEYS  subs, subs:version, log, overflow; then those that ARGV[1] names by index
-- ARGV  msgpack {version (of the subscriptions that were read), next (their new version, a word
--       that was never used), id, doc, most (deliveries that may wait), lanes: [LANE],
--       fields: EVENTs, at most one}; then doc, body and payloads
-- Returns  1, or 0 if the subscriptions have another version
-- Safe twice: the second time they have.
-- Uses: prove, args, time, lane_args, readers, lanes, publish
prove([[TIME GET SET HSET XADD HGET ZCARD HEXISTS ZRANGE ZREM ZADD ZSCORE EXPIRE EXISTS
  RPUSH HDEL HMGET HSTRLEN]])
if (redis.call('GET', KEYS[2]) or '0') ~= args.version then return 0 end
local lanes, now = open_lanes(args.lanes), now_ms()
redis.call('HSET', KEYS[1], args.id, ARGV[args.doc])
redis.call('SET', KEYS[2], args.next)
for _, e in ipairs(list(read_event)) do publish(KEYS[3], KEYS[4], args.most, lanes, e, now) end
finish(lanes, now)
return 1
