-- Makes the deliveries of an event that is of no job, such as subscription.test.
-- KEYS  event; then all that ARGV[1] names by place
-- ARGV  msgpack {lanes: [LANE], body,
--       puts: [[place in lanes, item, at (0: now), payload]]}; then the body and the payloads
-- Returns  1
-- Safe twice: deliveries have names, and those that wait already are not counted again.
prove('TIME HEXISTS ZRANGE ZREM ZADD ZSCORE HSET HGET EXPIRE EXISTS RPUSH HDEL HMGET HSTRLEN')
local told = cmsgpack.unpack(ARGV[1])
local lanes, now, new = keys_of(told.lanes), now_ms(), #told.puts
for _, p in ipairs(told.puts) do
  new = new - redis.call('HEXISTS', lanes[p[1]].items, p[2])
  enqueue(lanes, p, now)
end
keep_body(KEYS[1], ARGV[told.body], new)
finish(now)
return 1
