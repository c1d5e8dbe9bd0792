-- Enqueues the deliveries of an event that belongs to no job, such as subscription.test.
-- KEYS  event; then those that ARGV[1] names by index
-- ARGV  msgpack {lanes: [LANE], body, items: [ITEM]}; then the body and the payloads
-- Returns  1
-- Safe twice: deliveries have names, and those that wait already are not counted again.
-- Uses: prove, time, lane_args, lanes, ordering, event_bodies
prove('TIME HEXISTS ZRANGE ZREM ZADD ZSCORE HSET HGET EXPIRE EXISTS RPUSH HDEL HMGET HSTRLEN')
local args = cmsgpack.unpack(ARGV[1])
local lanes, now, new = open_lanes(args.lanes), now_ms(), #args.items
for _, i in ipairs(args.items) do
  new = new - redis.call('HEXISTS', lanes[i.lane].items, i.item)
  enqueue(lanes, i, now)
end
keep_body(KEYS[1], ARGV[args.body], new)
finish(lanes, now)
return 1
