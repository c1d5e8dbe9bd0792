-- Accepts pushes: each is marked as seen and queued for ingest, or was seen before. The names that
-- they give their jobs are reserved in the same breath, so that no commit but the first decides
-- under which uid a job is made.
-- KEYS  all that ARGV[1] names by place
-- ARGV  msgpack {keep (ms), reserve (ms), named: [NAMING], lanes: [LANE],
--       pushes: [[seen, place in lanes, item, payload]]}; then the payloads
-- Returns  per push 1 (accepted) or 0 (a duplicate)
-- Safe twice: the second time all are duplicates, and all are queued; reserved names stay.
local told = cmsgpack.unpack(ARGV[1])
local lanes, now, taken = keys_of(told.lanes), now_ms(), {}
for _, naming in ipairs(told.named) do
  local name = naming[4][2] and reserve or reserve_one
  name(naming, told.reserve)
end
for i, push in ipairs(told.pushes) do
  if redis.call('SET', KEYS[push[1]], '1', 'NX', 'PX', told.keep) then
    put(lanes[push[2]], push[3], now, ARGV[push[4]])
    taken[i] = 1
  else
    taken[i] = 0
  end
end
finish(now)
return taken
