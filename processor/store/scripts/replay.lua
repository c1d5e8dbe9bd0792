-- Puts deliveries anew, of events that were told before: none that waits, none that the sets of
-- what arrived have, and none that was delivered while the caller made up its mind.
-- KEYS  delivered:TARGET; then all that ARGV[1] names by place
-- ARGV  msgpack {seen (place in delivered:TARGET up to which the caller has read),
--       delivered_ids: [places of delivered_ids:SUB:DAY] (none: what arrived is put too),
--       ids (events of the puts),
--       lanes: [LANE],
--       puts: [{put: [place in lanes, item, at (ms), payload, order?, sequence?], event, body}]}
--       (at most some thousands);
--       then payloads and bodies
-- Returns  per put `queued`, `pending` (it waits, or is under way) or `delivered`
-- A body is kept once more for each that is queued, and as long as if it were told now.
-- Safe twice: the second time all are pending, or delivered behind `seen`.
prove([[TIME XRANGE SMISMEMBER HEXISTS ZRANGE ZREM ZADD ZSCORE HSET HGET EXPIRE EXISTS RPUSH
  HDEL HMGET HSTRLEN]])
local told = cmsgpack.unpack(ARGV[1])
local lanes, now, results, state, arrived = keys_of(told.lanes), now_ms(), {}, {}, {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. told.seen, '+')) do
  local record = cjson.decode(entry[2][2])
  state[record.id] = record.state
end
for _, set in ipairs(told.delivered_ids) do
  for i, is in ipairs(redis.call('SMISMEMBER', KEYS[set], unpack(told.ids))) do
    arrived[i] = arrived[i] or is == 1
  end
end
for i, p in ipairs(told.puts) do
  local lane, item = lanes[p.put[1]], p.put[2]
  if redis.call('HEXISTS', lane.items, item) == 1 then
    results[i] = 'pending'
  elseif arrived[i] or state[item] == 'delivered' or state[item] == 'superseded' then
    results[i] = 'delivered'
  else
    results[i] = 'queued'
    enqueue(lanes, p.put, now)
    keep_body(KEYS[p.event], ARGV[p.body], 1)
    redis.call('EXPIRE', KEYS[p.event], 1209600)
  end
end
finish(now)
return results
