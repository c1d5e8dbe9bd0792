-- Changes a subscription, unless any was changed since it was read, and tells it in the same
-- breath: the event is in the log, and its deliveries wait, if and only if the change was made.
-- KEYS  subs, subs:version, log, overflow; then all that ARGV[1] names by place
-- ARGV  msgpack {version (of the subscriptions that were read), next (their version from now
--       on, a word that was never used), id, doc, most (deliveries that may
--       wait), event? {key, id, type, body, logged, puts: [[place in lanes, item, at, payload]]},
--       lanes: [LANE]}; then doc, body and payloads
-- Returns  1, or 0 when the subscriptions are at another version
-- Safe twice: the second time they are.
prove([[TIME GET SET HSET XADD HGET ZCARD HEXISTS ZRANGE ZREM ZADD ZSCORE EXPIRE EXISTS
  RPUSH HDEL HMGET HSTRLEN]])
local told = cmsgpack.unpack(ARGV[1])
if (redis.call('GET', KEYS[2]) or '0') ~= told.version then return 0 end
local lanes, now = keys_of(told.lanes), now_ms()
redis.call('HSET', KEYS[1], told.id, ARGV[told.doc])
redis.call('SET', KEYS[2], told.next)
if told.event then publish(KEYS[3], KEYS[4], told.most, lanes, told.event, now) end
finish(now)
return 1
