-- Changes a subscription, unless any was changed since it was read, and tells it in the same
-- breath: the event is in the log, and its deliveries wait, if and only if the change was made.
-- KEYS  subs, subs:version, log; then all that ARGV[1] names by place
-- ARGV  msgpack {version (of the subscriptions that were read), id, doc, event? {key?, id, type,
--       body, n}, lanes: [{name, lanes, items, due, held, nudge, busy}],
--       puts: [[place in lanes, item, at (unused), payload]]}; then doc, body and payloads
-- Returns  1, or 0 when the subscriptions are at another version
-- Safe twice: the second time they are.
local told = cmsgpack.unpack(ARGV[1])
if (redis.call('GET', KEYS[2]) or '0') ~= told.version then return 0 end
local lanes, now, event = keys_of(told.lanes), now_ms(), told.event
redis.call('HSET', KEYS[1], told.id, ARGV[told.doc])
redis.call('INCR', KEYS[2])
if event then
  log_event(KEYS[3], event)
  if event.n > 0 then keep(KEYS[event.key], ARGV[event.body], event.n) end
end
for _, p in ipairs(told.puts) do put(lanes[p[1]], p[2], now, ARGV[p[4]]) end
finish(now)
return 1
