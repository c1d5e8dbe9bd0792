-- Has a lane checked now, since what held its items back may have ended.
-- KEYS  lanes:B, paused:B, rate_limit:B, due:B:L, retries:B:L, claimed:B:L, nudge:B, busy:B
-- ARGV  lane, 1 if its pause ends (0: it stays), 1 if it has no rate limit (0: it may have one)
-- Returns  1
-- Safe twice: it is checked once more.
-- Uses: prove, time, lanes
prove('TIME HDEL ZRANGE ZADD ZREM EXISTS RPUSH HMGET HSET')
local lane = { name = ARGV[1], lanes = KEYS[1], changed = true }
lane.due, lane.retries, lane.claimed, lane.nudge, lane.busy = unpack(KEYS, 4)
for n = 2, 3 do
  if ARGV[n] == '1' then redis.call('HDEL', KEYS[n], lane.name) end
end
finish({ lane }, now_ms())
return 1
