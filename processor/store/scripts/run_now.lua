-- Makes an item due now that waits for a later time.
-- KEYS  all that ARGV[1] names by place
-- ARGV  msgpack {item, lanes: [LANE] (one)}
-- Returns  1 when it waits or is under way, 0 when there is no such item
-- What waits for its turn goes on waiting. Safe twice: it is due already.
prove('TIME HEXISTS ZSCORE ZREM ZADD ZRANGE EXISTS RPUSH HDEL HMGET HSET')
local told = cmsgpack.unpack(ARGV[1])
local lane, now = keys_of(told.lanes)[1], now_ms()
if redis.call('HEXISTS', lane.items, told.item) == 0 then return 0 end
run_now(lane, told.item, now)
finish(now)
return 1
