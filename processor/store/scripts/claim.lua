-- Claims what can start now: at most the lane's free capacity and budget, a fair share each.
-- KEYS  lanes:B, items:B, parked:B, paced:B, busy:B; then per lane: due:B:L, again:B:L, held:B:L
-- ARGV  limit, lease (ms), lanes at once, who claims, how long it then counts as busy (ms),
--       bytes of payloads after which no more is claimed;
--       then per lane: name, capacity, budget (ms an item, 0: none), burst (items at once),
--       the claimer's part of the capacity
-- Returns  names of lanes that are due and were not given; then per item: lane, item, payload,
--          token (end of the lease, ms); then what is wrong with the types of keys of lanes, which
--          were passed over
-- Safe twice: the first claim then runs out.
prove('TIME ZRANGE HMGET ZADD ZREM HGET HDEL HSET ZCARD SET GET DEL', 5)
local now, claimed, other, given, due, wrong = now_ms(), {}, {}, {}, {}, {}
local lease = now + tonumber(ARGV[2])
local bytes = tonumber(ARGV[6])
for i = 1, (#KEYS - 5) / 3 do given[ARGV[5 * i + 2]] = i end
for _, name in ipairs(until_now(KEYS[1], now, ARGV[3])) do
  local i = given[name]
  local is = i and (misfit(KEYS[3 + 3 * i]) or misfit(KEYS[4 + 3 * i]) or misfit(KEYS[5 + 3 * i]))
  if is then
    wrong[#wrong + 1] = is
  elseif i then
    due[#due + 1] = i
  else
    other[#other + 1] = name
  end
end
local share = math.ceil(tonumber(ARGV[1]) / math.max(#due, 1))

for _, i in ipairs(due) do
  local name, cap, gap, burst, fair = unpack(ARGV, 5 * i + 2, 5 * i + 6)
  cap, gap, burst, fair = tonumber(cap), tonumber(gap), tonumber(burst), tonumber(fair)
  local lane = { name = name, lanes = KEYS[1] }
  lane.due, lane.again, lane.held = unpack(KEYS, 3 + 3 * i, 5 + 3 * i)
  local parked = tonumber(redis.call('HGET', KEYS[3], name)) or 0
  if parked > now then
    redis.call('ZADD', lane.lanes, parked, name) -- a lease that ends meanwhile waits as well
  else
    if parked > 0 then redis.call('HDEL', KEYS[3], name) end
    local spare, whole = budget(KEYS[4], name, gap, burst, now)
    local got = take(lane, fair, math.min(share, spare), now)
    local count, size = hand_out(lane, got, KEYS[2], lease, bytes, claimed)
    bytes = bytes - size
    if gap > 0 and count > 0 then redis.call('HSET', KEYS[4], name, whole + count * gap) end
    local at = soonest(lane)
    if redis.call('ZCARD', lane.held) >= cap then at = nil end
    if at and spare <= count then at = math.max(at, whole + (count + 1 - burst) * gap) end
    index(lane, at)
  end
end
awake(KEYS[5], ARGV[4], ARGV[5], #claimed > 0)
return { other, claimed, wrong }
