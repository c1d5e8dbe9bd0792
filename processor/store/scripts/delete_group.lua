-- Forgets a group, with its members and its timer. Its jobs keep their notes of it; those who wait
-- for it learn of it.
-- KEYS  groups, group, members, deletions; then those that ARGV[1] names by index
-- ARGV  msgpack {id, lanes: [LANE], fields: items to drop [lane, item]}
-- Returns  1, or 0 if there is no such group
-- Safe twice: the second time there is none.
-- Uses: prove, args, time, deletions, lane_args, changes, lanes
prove('TIME GET DEL ZREM HDEL HSTRLEN HMGET HSET ZADD ZRANGE EXISTS RPUSH XADD PEXPIRE')
local lanes, now = open_lanes(args.lanes), now_ms()
local record = (redis.call('GET', KEYS[2]) or ''):match('^%S+ (.*)')
if record then note_deletion(KEYS[4], 'g' .. cjson.decode(record).uid, now) end
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[1], args.id)
for _, d in ipairs(list(read_drop)) do drop(lanes[d.lane], d.item) end
finish(lanes, now)
return record and 1 or 0
