-- Claims what can start now: at most the lane's free capacity and budget, a fair share each.
-- KEYS  lanes:B, items:B, parked:B, paced:B, busy:B; then per lane: due:B:L, held:B:L
-- ARGV  limit, lease (ms), lanes at once, who claims, how long it then counts as busy (ms);
--       then per lane: name, capacity, budget (ms an item, 0: none), burst (items at once)
-- Returns  names of lanes that are due and were not given; then per item: lane, item, payload,
--          token (end of the lease, ms)
-- A lease that ran out is claimed again first. Safe twice: the first claim then runs out.
local now, claimed, other, given, due = now_ms(), {}, {}, {}, {}
local lease = now + tonumber(ARGV[2])
for i = 1, (#KEYS - 5) / 2 do given[ARGV[4 * i + 2]] = i end
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[3])) do
  if given[name] then due[#due + 1] = given[name] else other[#other + 1] = name end
end
local share = math.ceil(tonumber(ARGV[1]) / math.max(#due, 1))

local function budget(name, gap, burst)
  if gap == 0 then return math.huge, now end
  local whole = math.max(tonumber(redis.call('HGET', KEYS[4], name)) or 0, now)
  -- Not (now + burst * gap - whole) / gap: what a time of today cannot hold would be lost.
  return math.max(math.floor(burst - (whole - now) / gap), 0), whole
end

local function take(lane, cap, most)
  local got = redis.call('ZRANGE', lane.held, '-inf', now, 'BYSCORE', 'LIMIT', 0, most)
  local free = math.min(most - #got, cap - redis.call('ZCARD', lane.held))
  if free > 0 then
    for _, item in ipairs(redis.call('ZRANGE', lane.due, '-inf', now, 'BYSCORE', 'LIMIT', 0, free)) do
      gather('ZREM', lane.due, item)
      got[#got + 1] = item
    end
  end
  return got
end

local function hand_out(lane, got)
  local payloads = #got > 0 and redis.call('HMGET', KEYS[2], unpack(got)) or {}
  for n, item in ipairs(got) do
    if payloads[n] then
      gather('ZADD', lane.held, lease, item)
      for _, part in ipairs({ lane.name, item, payloads[n], lease }) do claimed[#claimed + 1] = part end
    else
      gather('ZREM', lane.held, item)
    end
  end
  send()
end

for _, i in ipairs(due) do
  local name, cap = ARGV[4 * i + 2], tonumber(ARGV[4 * i + 3])
  local gap, burst = tonumber(ARGV[4 * i + 4]), tonumber(ARGV[4 * i + 5])
  local lane = { name = name, lanes = KEYS[1], due = KEYS[4 + 2 * i], held = KEYS[5 + 2 * i] }
  local parked = tonumber(redis.call('HGET', KEYS[3], name)) or 0
  if parked > now then
    index(lane, parked)
  else
    if parked > 0 then redis.call('HDEL', KEYS[3], name) end
    local spare, whole = budget(name, gap, burst)
    local got = take(lane, cap, math.min(share, spare))
    hand_out(lane, got)
    if gap > 0 and #got > 0 then redis.call('HSET', KEYS[4], name, whole + #got * gap) end
    local at = first(lane.due)
    if redis.call('ZCARD', lane.held) >= cap then at = nil end
    if at and spare <= #got then at = math.max(at, whole + (#got + 1 - burst) * gap) end
    index(lane, at)
  end
end
if #claimed > 0 then
  redis.call('SET', KEYS[5], ARGV[4], 'PX', ARGV[5])
elseif redis.call('GET', KEYS[5]) == ARGV[4] then
  redis.call('DEL', KEYS[5])
end
return { other, claimed }
