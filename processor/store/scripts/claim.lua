-- Claims what can start now: at most the lane's free capacity and budget, a fair share each.
-- KEYS  lanes:B, items:B, parked:B, paced:B; then per lane: due:B:L, held:B:L
-- ARGV  limit, lease (ms); then per lane: name, capacity, budget (ms an item, 0: none),
--       burst (items that may start at once)
-- Returns  per item: place of its lane in ARGV, item, payload, token (end of the lease, ms)
-- A lease that ran out is claimed again first. Safe twice: the first claim then runs out.
local now, count = now_ms(), (#KEYS - 4) / 2
local share = math.ceil(tonumber(ARGV[1]) / count)
local lease = now + tonumber(ARGV[2])
local claimed = {}

local function budget(lane, gap, burst)
  if gap == 0 then return math.huge, now end
  local whole = math.max(tonumber(redis.call('HGET', KEYS[4], lane)) or 0, now)
  local spare = math.floor((now + burst * gap - whole) / gap)
  return spare, whole
end

for i = 1, count do
  local lane, cap = ARGV[4 * i - 1], tonumber(ARGV[4 * i])
  local gap, burst = tonumber(ARGV[4 * i + 1]), tonumber(ARGV[4 * i + 2])
  local due, held = KEYS[3 + 2 * i], KEYS[4 + 2 * i]
  local parked = tonumber(redis.call('HGET', KEYS[3], lane)) or 0
  if parked > now then
    index(KEYS[1], held, lane, parked)
  else
    if parked > 0 then redis.call('HDEL', KEYS[3], lane) end
    local spare, whole = budget(lane, gap, burst)
    local most = math.max(math.min(share, spare), 0)
    local got = redis.call('ZRANGEBYSCORE', held, '-inf', now, 'LIMIT', 0, most)
    local free = math.min(most - #got, cap - redis.call('ZCARD', held))
    if free > 0 then
      for _, item in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, free)) do
        redis.call('ZREM', due, item)
        got[#got + 1] = item
      end
    end
    for _, item in ipairs(got) do
      local payload = redis.call('HGET', KEYS[2], item)
      if payload then
        redis.call('ZADD', held, lease, item)
        for _, part in ipairs({ i - 1, item, payload, lease }) do claimed[#claimed + 1] = part end
      else
        redis.call('ZREM', held, item)
      end
    end
    if gap > 0 and #got > 0 then redis.call('HSET', KEYS[4], lane, whole + #got * gap) end
    local at = first(due)
    if redis.call('ZCARD', held) >= cap then at = nil end
    if at and spare <= #got then at = math.max(at, whole + (#got + 1 - burst) * gap) end
    index(KEYS[1], held, lane, at)
  end
end
return claimed
