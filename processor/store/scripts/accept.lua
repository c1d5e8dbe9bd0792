-- Accepts pushes: marks each as seen and queues it for ingest, unless it was seen before. Reserves
-- in the same call the names that the pushes give their jobs, so that the uid of a job is fixed
-- before any commit. A push that has `held` is held instead if its job is not known.
-- KEYS  waiting; then those that ARGV[1] names by index
-- ARGV  msgpack {keep (ms), ceiling? (of what all pushes were ever priced at), each (price of a
--       byte of the record that a push is about), reserve (ms), pushes (how many), hold (ms), most?
--       (as shared/7-holding.lua has them), lanes: [LANE], fields: NAMINGs, then PUSHes {seen,
--       lane (index in lanes), item, payload, price, held?, uid?, names (its job's)}}; then the
--       payloads
-- Returns  per push 1 (accepted), 0 (a duplicate), 2 (held), 3 (the hold is full), `to ID` (its job
--          has another id), or what is wrong with the type of one of its keys; nil if all of them
--          would exceed the ceiling: then nothing was written
-- Safe twice: the second time all are duplicates, and all are queued; reserved names stay.
-- Uses: prove, args, time, waiting, lane_args, readers, lanes, names, marks, holding
prove_each([[TIME GET GETRANGE SET ZADD HSET ZRANGE ZREM EXISTS RPUSH HDEL HGET HMGET HSTRLEN
  STRLEN]])
local now, price = now_ms(), 0
local lanes, heads = open_lanes(args.lanes), {} -- what names are, by their index
local named = list(read_naming)
local pushes = list(function()
  local p = take(7)
  return {
    seen = fields[p + 1], lane = fields[p + 2], item = fields[p + 3], payload = fields[p + 4],
    price = fields[p + 5], held = fields[p + 6], uid = fields[p + 7], names = list(field),
  }
end, args.pushes)
for _, push in ipairs(pushes) do
  push.record = 0
  for _, name in ipairs(not wrong_type_at(push.names) and push.names or {}) do
    heads[name] = redis.call('GETRANGE', KEYS[name], 0, HEAD)
    if #heads[name] > HEAD then -- smaller: not worth a price
      push.record = math.max(push.record, redis.call('STRLEN', KEYS[name]))
    end
  end
  push.price = push.price + math.ceil(args.each * push.record)
  price = price + push.price
end
local taken = tonumber(redis.call('HGET', KEYS[1], 'taken')) or 0
if args.ceiling and taken + price > args.ceiling then return false end
for _, naming in ipairs(named) do
  if naming.names[2] then
    reserve(naming, args.reserve, 'new-')
  elseif (heads[naming.names[1].key] or '') == '' then
    reserve_one(naming, args.reserve)
  end
end
local results = {}
for i, push in ipairs(pushes) do
  local lane = lanes[push.lane]
  results[i] = lane.wrong or wrong_type_at({ push.seen, push.held }) or wrong_type_at(push.names)
    or push.held and hold_push(push, lane, args, now)
  if results[i] == 2 then taken = taken + push.price end
  if not results[i] and mark_seen(push, heads[push.names[1]], args.keep) then
    note_size(lane, push.item, #ARGV[push.payload], push.record)
    put(lane, push.item, now, ARGV[push.payload])
    taken = taken + push.price
    results[i] = 1
  end
  results[i] = results[i] or 0
end
redis.call('HSET', KEYS[1], 'taken', string.format('%.0f', taken))
finish(lanes, now)
return results
