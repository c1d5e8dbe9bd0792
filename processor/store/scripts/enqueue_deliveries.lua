-- Enqueues the deliveries of an event that belongs to no job, such as subscription.test.
-- KEYS  event; then those that ARGV[1] names by index
-- ARGV  msgpack {lanes: [LANE], body, fields: ITEMs}; then the body and the payloads
-- Returns  1
-- Safe twice: deliveries have names, and those that wait already are not counted again.
-- Uses: prove, args, time, lane_args, readers, lanes, ordering, event_bodies
prove('TIME HEXISTS ZRANGE ZREM ZADD ZSCORE HSET HGET EXPIRE EXISTS RPUSH HDEL HMGET HSTRLEN')
local lanes, now, items = open_lanes(args.lanes), now_ms(), list(read_item)
local new = #items
for _, i in ipairs(items) do
  new = new - redis.call('HEXISTS', lanes[i.lane].items, i.item)
  enqueue(lanes, i, now)
end
keep_body(KEYS[1], ARGV[args.body], new)
finish(lanes, now)
return 1
