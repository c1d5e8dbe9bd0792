-- Forgets a group, with its members and its timer. Its jobs keep their notes of it.
-- KEYS  groups, group, members; then those that ARGV[1] names by index
-- ARGV  msgpack {id, lanes: [LANE], fields: items to drop [lane, item]}
-- Returns  1, or 0 if there is no such group
-- Safe twice: the second time there is none.
-- Uses: prove, args, time, lane_args, changes, lanes
prove('TIME DEL ZREM HDEL HSTRLEN HMGET HSET ZADD ZRANGE EXISTS RPUSH')
local lanes, now = open_lanes(args.lanes), now_ms()
local removed = redis.call('DEL', KEYS[2])
redis.call('DEL', KEYS[3])
redis.call('ZREM', KEYS[1], args.id)
for _, d in ipairs(list(read_drop)) do drop(lanes[d.lane], d.item) end
finish(lanes, now)
return removed
