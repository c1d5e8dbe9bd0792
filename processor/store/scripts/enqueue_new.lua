-- Enqueues items that belong to no job, except those that wait or are claimed already.
-- KEYS  those that ARGV[1] names by index
-- ARGV  msgpack {lanes: [LANE], fields: ITEMs}; then the payloads
-- Returns  how many are new
-- Safe twice: the second time none is new, unless one has ended.
-- Uses: prove, args, time, lane_args, readers, lanes, ordering
prove('TIME HEXISTS ZRANGE ZREM ZADD ZSCORE HSET EXISTS RPUSH HDEL HMGET HSTRLEN')
local lanes, now, new = open_lanes(args.lanes), now_ms(), 0
for _, i in ipairs(list(read_item)) do
  if redis.call('HEXISTS', lanes[i.lane].items, i.item) == 0 then
    enqueue(lanes, i, now)
    new = new + 1
  end
end
finish(lanes, now)
return new
