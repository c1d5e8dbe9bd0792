-- Makes the deliveries of an event that is of no job, such as subscription.test.
-- KEYS  event; then all that ARGV[1] names by place
-- ARGV  msgpack {lanes: [{name, lanes, items, due, held, nudge, busy}], body,
--       puts: [[place in lanes, item, payload]]}; then the body and the payloads
-- Returns  1
-- Safe twice: deliveries have names, and the body only lives longer.
local told = cmsgpack.unpack(ARGV[1])
local lanes, now = keys_of(told.lanes), now_ms()
keep(KEYS[1], ARGV[told.body], #told.puts)
for _, p in ipairs(told.puts) do put(lanes[p[1]], p[2], now, ARGV[p[3]]) end
finish(now)
return 1
