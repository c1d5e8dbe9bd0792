-- Claims an item that never waited in its lane, within the lane's capacity and budget.
-- KEYS  lanes:B, paused:B, rate_limit:B, due:B:L, retries:B:L, claimed:B:L
-- ARGV  lane, item, lease (ms), capacity, budget (ms per item, 0: none), burst (items at once),
--       how many items of the burst to leave to others
-- Returns  the token (end of the lease, ms), '', 0; or 0, the reason (paused, claimed, full or
--          rate limit), and for how long (ms; 0: unknown)
-- The item has no payload: it is claimed until it is settled, or a claim finds that its lease has
-- ended.
-- Safe twice: it is claimed already.
-- Uses: prove, time, lanes, rate_limit
prove('TIME HGET ZSCORE ZCARD ZRANGE ZADD HSET ZREM')
local now, item = now_ms(), ARGV[2]
local lane = { name = ARGV[1], lanes = KEYS[1] }
lane.due, lane.retries, lane.claimed = KEYS[4], KEYS[5], KEYS[6]
local lease, capacity, gap = now + tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local burst, left = tonumber(ARGV[6]), tonumber(ARGV[7])

local paused = tonumber(redis.call('HGET', KEYS[2], lane.name)) or 0
if paused > now then return { 0, 'paused', paused - now } end
if (tonumber(redis.call('ZSCORE', lane.claimed, item)) or 0) > now then
  return { 0, 'claimed', 0 }
end
if redis.call('ZCARD', lane.claimed) >= capacity then return { 0, 'full', 0 } end
local spare, whole = budget(KEYS[3], lane.name, gap, burst, now)
if spare <= left then
  return { 0, 'rate limit', math.ceil(whole + (left + 1 - burst) * gap - now) }
end

redis.call('ZADD', lane.claimed, lease, item)
if gap > 0 then redis.call('HSET', KEYS[3], lane.name, whole + gap) end
index(lane, first_due(lane))
return { lease, '', 0 }
