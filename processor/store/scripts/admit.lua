-- Claims an item that never waited in its lane, within the lane's capacity.
-- KEYS  lanes:B, paused:B, due:B:L, retries:B:L, claimed:B:L
-- ARGV  lane, item, lease (ms), capacity
-- Returns  the token (end of the lease, ms), ''; or 0, the reason (paused, claimed or full)
-- The item has no payload: it is claimed until it is settled, or a claim finds that its lease has
-- ended.
-- Safe twice: it is claimed already.
-- Uses: prove, time, lanes
prove('TIME HGET ZSCORE ZCARD ZRANGE ZADD ZREM')
local now, item = now_ms(), ARGV[2]
local lane = { name = ARGV[1], lanes = KEYS[1] }
lane.due, lane.retries, lane.claimed = KEYS[3], KEYS[4], KEYS[5]

if (tonumber(redis.call('HGET', KEYS[2], lane.name)) or 0) > now then return { 0, 'paused' } end
if (tonumber(redis.call('ZSCORE', lane.claimed, item)) or 0) > now then return { 0, 'claimed' } end
if redis.call('ZCARD', lane.claimed) >= tonumber(ARGV[4]) then return { 0, 'full' } end

local lease = now + tonumber(ARGV[3])
redis.call('ZADD', lane.claimed, lease, item)
index(lane, first_due(lane))
return { lease, '' }
