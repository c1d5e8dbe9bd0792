-- Makes the deliveries of an event that is of no job, such as subscription.test.
-- KEYS  event; then all that ARGV[1] names by place
-- ARGV  msgpack {lanes: [{name, lanes, items, due, held, nudge, busy}], body,
--       puts: [[place in lanes, item, payload]]}; then the body and the payloads
-- Returns  1
-- Safe twice: deliveries have names.
local told = cmsgpack.unpack(ARGV[1])
local lanes, now = keys_of(told.lanes), now_ms()
redis.call('HSET', KEYS[1], 'body', ARGV[told.body], 'n', #told.puts)
redis.call('EXPIRE', KEYS[1], 1209600)
for _, p in ipairs(told.puts) do put(lanes[p[1]], p[2], now, ARGV[p[3]]) end
finish(now)
return 1
