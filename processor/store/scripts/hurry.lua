-- Makes an item that waits due now.
-- KEYS  all that ARGV[1] names by place
-- ARGV  msgpack {item, lanes: [{name, lanes, items, due, held, nudge, busy}] (one)}
-- Returns  1 when it waits or is under way, 0 when there is no such item
-- Safe twice: it is due already.
local told = cmsgpack.unpack(ARGV[1])
local lane, now = keys_of(told.lanes)[1], now_ms()
if redis.call('HEXISTS', lane.items, told.item) == 0 then return 0 end
local due = tonumber(redis.call('ZSCORE', lane.due, told.item))
if due and due > now then
  gather('ZADD', lane.due, now, told.item)
  touched[lane] = true
end
finish(now)
return 1
