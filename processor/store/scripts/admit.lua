-- Claims an item that never waited in its lane, within the lane's capacity and budget.
-- KEYS  lanes:B, parked:B, paced:B, due:B:L, again:B:L, held:B:L
-- ARGV  lane, item, lease (ms), capacity, budget (ms per item, 0: none), burst (items at once),
--       how many items of the burst to leave to others
-- Returns  the token (end of the lease, ms), '', 0; or 0, the reason (parked, held, full or paced),
--          and for how long (ms; 0: unknown)
-- The item has no payload: it is held until it is settled, or a claim finds that its lease has
-- ended.
-- Safe twice: it is held already.
-- Uses: prove, time, lanes, rate_limit
prove('TIME HGET ZSCORE ZCARD ZRANGE ZADD HSET ZREM')
local now, item = now_ms(), ARGV[2]
local lane = { name = ARGV[1], lanes = KEYS[1], due = KEYS[4], again = KEYS[5], held = KEYS[6] }
local lease, capacity, gap = now + tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local burst, left = tonumber(ARGV[6]), tonumber(ARGV[7])

local parked = tonumber(redis.call('HGET', KEYS[2], lane.name)) or 0
if parked > now then return { 0, 'parked', parked - now } end
if (tonumber(redis.call('ZSCORE', lane.held, item)) or 0) > now then return { 0, 'held', 0 } end
if redis.call('ZCARD', lane.held) >= capacity then return { 0, 'full', 0 } end
local spare, whole = budget(KEYS[3], lane.name, gap, burst, now)
if spare <= left then return { 0, 'paced', math.ceil(whole + (left + 1 - burst) * gap - now) } end

redis.call('ZADD', lane.held, lease, item)
if gap > 0 then redis.call('HSET', KEYS[3], lane.name, whole + gap) end
index(lane, first_due(lane))
return { lease, '', 0 }
