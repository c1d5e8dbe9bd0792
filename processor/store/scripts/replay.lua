-- Enqueues past deliveries again, except those that wait, that are recorded as delivered, or that
-- were delivered since the caller read the records.
-- KEYS  delivered:TARGET; then those that ARGV[1] names by index
-- ARGV  msgpack {seen (id in delivered:TARGET up to which the caller has read), days: [indexes of
--       delivered_ids:SUB:DAY] (none: what was delivered is enqueued too), ids (of the events),
--       lanes: [LANE], fields: per event an ITEM, the event's key and body (at most some
--       thousands)}; then payloads and bodies
-- Returns  per delivery `queued`, `pending` (it waits, or is claimed) or `delivered`
-- Keeps the body once more per delivery that is queued, for as long as if it were published now.
-- Safe twice: the second time all are pending, or were delivered after `seen`.
-- Uses: prove, args, time, lane_args, readers, lanes, ordering, event_bodies
prove([[TIME XRANGE SMISMEMBER HEXISTS ZRANGE ZREM ZADD ZSCORE HSET HGET EXPIRE EXISTS RPUSH
  HDEL HMGET HSTRLEN]])
local lanes, now, results = open_lanes(args.lanes), now_ms(), {}
local ended, delivered = {}, {} -- states by delivery; whether an event was delivered, by number
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. args.seen, '+')) do
  local record = cjson.decode(entry[2][2])
  ended[record.id] = record.state
end
for _, day in ipairs(args.days) do
  for n, is in ipairs(redis.call('SMISMEMBER', KEYS[day], unpack(args.ids))) do
    delivered[n] = delivered[n] or is == 1
  end
end
local function read_delivery()
  return { item = read_item(), event = field(), body = field() }
end
for n, d in ipairs(list(read_delivery, #args.ids)) do
  local lane, id = lanes[d.item.lane], d.item.item
  if redis.call('HEXISTS', lane.items, id) == 1 then
    results[n] = 'pending'
  elseif delivered[n] or ended[id] == 'delivered' or ended[id] == 'superseded' then
    results[n] = 'delivered'
  else
    results[n] = 'queued'
    enqueue(lanes, d.item, now)
    keep_body(KEYS[d.event], ARGV[d.body], 1)
    redis.call('EXPIRE', KEYS[d.event], KEPT)
  end
end
finish(lanes, now)
return results
