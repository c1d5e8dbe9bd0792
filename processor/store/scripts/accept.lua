-- Accepts pushes: each is marked as seen and queued for ingest, or was seen before. The names that
-- they give their jobs are reserved in the same breath, so that no commit but the first decides
-- under which uid a job is made.
-- KEYS  all that ARGV[1] names by place
-- ARGV  msgpack {keep (ms), reserve (ms), named: [NAMING], lanes: [LANE],
--       pushes: [[seen, place in lanes, item, payload, [its job's names]]]};
--       then the payloads
-- Returns  per push 1 (accepted), 0 (a duplicate), or what is wrong with the type of a key of it
-- Safe twice: the second time all are duplicates, and all are queued; reserved names stay.
prove_each('TIME GETRANGE SET ZADD HSET ZRANGE ZREM EXISTS RPUSH')
local told = cmsgpack.unpack(ARGV[1])
local lanes, now, taken = keys_of(told.lanes), now_ms(), {}
for _, naming in ipairs(told.named) do
  if naming[4][2] then reserve(naming, told.reserve) else reserve_one(naming, told.reserve) end
end
for i, push in ipairs(told.pushes) do
  local lane = lanes[push[2]]
  taken[i] = lane.misfit or misfit_at({ push[1] }) or misfit_at(push[5])
  if not taken[i] and redis.call('SET', KEYS[push[1]], '1', 'NX', 'PX', told.keep) then
    put(lane, push[3], now, ARGV[push[4]])
    taken[i] = 1
  end
  taken[i] = taken[i] or 0
end
finish(now)
return taken
