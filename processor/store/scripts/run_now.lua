-- Makes an item due now that waits for a later time.
-- KEYS  those that ARGV[1] names by index
-- ARGV  msgpack {item, lanes: [LANE] (one)}
-- Returns  1 if the item waits or is claimed, 0 if there is no such item
-- An item that waits for an earlier delivery of its job still waits. Safe twice: it is due already.
-- Uses: prove, args, time, lane_args, lanes, ordering
prove('TIME HEXISTS ZSCORE ZREM ZADD ZRANGE EXISTS RPUSH HDEL HMGET HSET')
local lanes, now = open_lanes(args.lanes), now_ms()
local lane = lanes[1]
if redis.call('HEXISTS', lane.items, args.item) == 0 then return 0 end
run_now(lane, args.item, now)
finish(lanes, now)
return 1
