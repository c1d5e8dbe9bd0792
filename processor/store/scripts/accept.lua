-- Accepts pushes: each is marked as seen and queued for ingest, or was seen before. The names that
-- they give their jobs are reserved in the same breath, so that no commit but the first decides
-- under which uid a job is made.
-- KEYS  waiting; then all that ARGV[1] names by place
-- ARGV  msgpack {keep (ms), ceiling? (of what all pushes were ever priced at), each (the price of
--       a byte of the record that a push is about), reserve (ms), named: [NAMING], lanes: [LANE],
--       pushes: [[seen, place in lanes, item, payload, [its job's names], price]]};
--       then the payloads
-- Returns  per push 1 (accepted), 0 (a duplicate), or what is wrong with the type of a key of it;
--          nil when all of them would go beyond the ceiling: nothing at all was written
-- Safe twice: the second time all are duplicates, and all are queued; reserved names stay.
prove_each('TIME GETRANGE SET ZADD HSET ZRANGE ZREM EXISTS RPUSH HDEL HGET HMGET HSTRLEN STRLEN')
local told = cmsgpack.unpack(ARGV[1])
local lanes, now, taken, records, price = keys_of(told.lanes), now_ms(), {}, {}, 0
for i, push in ipairs(told.pushes) do
  records[i] = 0
  for _, name in ipairs(not misfit_at(push[5]) and push[5] or {}) do
    local size = redis.call('STRLEN', KEYS[name])
    if size > STANDS then records[i] = math.max(records[i], size) end -- else it is no large record
  end
  push[6] = push[6] + math.ceil(told.each * records[i])
  price = price + push[6]
end
local priced = tonumber(redis.call('HGET', KEYS[1], 'taken')) or 0
if told.ceiling and priced + price > told.ceiling then return false end
for _, naming in ipairs(told.named) do
  if naming[4][2] then reserve(naming, told.reserve) else reserve_one(naming, told.reserve) end
end
for i, push in ipairs(told.pushes) do
  local lane = lanes[push[2]]
  taken[i] = lane.misfit or misfit_at({ push[1] }) or misfit_at(push[5])
  if not taken[i] and redis.call('SET', KEYS[push[1]], '1', 'NX', 'PX', told.keep) then
    weigh(lane, push[3], #ARGV[push[4]], records[i])
    put(lane, push[3], now, ARGV[push[4]])
    priced = priced + push[6]
    taken[i] = 1
  end
  taken[i] = taken[i] or 0
end
redis.call('HSET', KEYS[1], 'taken', string.format('%.0f', priced))
finish(now)
return taken
