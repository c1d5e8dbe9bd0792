-- Brings polls of a source forward.
-- KEYS  lanes:poll, items:poll, due:poll:S, retries:poll:S, claimed:poll:S, nudge:poll, busy:poll
-- ARGV  source; per poll: item, when to make it (ms), the least time since the one before (ms)
-- Returns  how many are sooner now
-- Safe twice: none is put off.
-- Uses: prove, time, lanes, bring_forward
prove('TIME ZSCORE HGET ZADD HSET ZRANGE ZREM HDEL HMGET EXISTS RPUSH')
local now, moved = now_ms(), 0
local lane = { name = ARGV[1], lanes = KEYS[1], items = KEYS[2], due = KEYS[3] }
lane.retries, lane.claimed, lane.nudge, lane.busy = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
for a = 2, #ARGV, 3 do
  moved = moved + bring_forward(lane, ARGV[a], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), 0)
end
finish({ lane }, now)
return moved
