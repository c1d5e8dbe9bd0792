-- Settles claims: each has ended, or is due again later; lanes may be parked.
-- KEYS  lanes:B, items:B, parked:B, nudge:B; then all keys that ARGV[1] names by place
-- ARGV  what payload and record name by their place; first of all msgpack {settled: [{lane, due, held, item, token, at, payload, event, log, record}],
--                parked: [{lane, due, held, at}]}: without `at` the claim has ended; `event`
--       and `log` (places) and `record` are a delivery's
-- Returns  per settled claim 1, or 0 when it was no longer this worker's to settle
-- An end reported late still counts, once; putting off takes the token that the claim gave.
local told = cmsgpack.unpack(ARGV[1])
local results, touched = {}, {}
for i, s in ipairs(told.settled) do
  local due, held = KEYS[s.due], KEYS[s.held]
  touched[s.lane] = s
  results[i] = 0
  if not s.at then
    if drop(KEYS[2], due, held, s.item) then
      results[i] = 1
      if s.event and redis.call('HINCRBY', KEYS[s.event], 'n', -1) <= 0 then
        redis.call('DEL', KEYS[s.event])
      end
      if s.record then
        redis.call('XADD', KEYS[s.log], 'MAXLEN', '~', 1000, '*', 'delivery', ARGV[s.record])
        redis.call('EXPIRE', KEYS[s.log], 2592000)
      end
    end
  elseif tonumber(redis.call('ZSCORE', held, s.item)) == s.token then
    results[i] = 1
    redis.call('ZREM', held, s.item)
    put(KEYS[1], KEYS[2], due, s.lane, s.item, s.at, ARGV[s.payload])
  end
end
for _, p in ipairs(told.parked) do
  touched[p.lane] = p
  redis.call('HSET', KEYS[3], p.lane, p.at)
end
local now, more = now_ms(), false
for lane, place in pairs(touched) do
  local at = index(KEYS[1], KEYS[place.held], lane, first(KEYS[place.due]))
  more = more or (at and at <= now)
end
if more then nudge(KEYS[4]) end
return results
