-- Makes the deliveries of an event that is of no job, such as subscription.test.
-- KEYS  event; then all keys that ARGV[1] names by their place
-- ARGV  what body and payload name by their place; first of all msgpack {body, n, puts: [{lanes, items, due, lane, item, at, payload, nudge}]}
-- Safe twice: deliveries have names.
local told = cmsgpack.unpack(ARGV[1])
redis.call('HSET', KEYS[1], 'body', ARGV[told.body], 'n', told.n)
redis.call('EXPIRE', KEYS[1], 1209600)
for _, p in ipairs(told.puts) do
  put(KEYS[p.lanes], KEYS[p.items], KEYS[p.due], p.lane, p.item, p.at, ARGV[p.payload])
  if p.nudge then nudge(KEYS[p.nudge]) end
end
return 1
