-- Has a lane checked now, since what held its items back may have ended.
-- KEYS  lanes:B, paused:B, rate_limit:B, due:B:L, retries:B:L, claimed:B:L, nudge:B, busy:B
-- ARGV  lane, 1 if its pause ends (0: it stays), 1 if it has no rate limit (0: it may have one), ms
--       per item to charge its rate limit for one (0: none)
-- Returns  1
-- Safe twice: it is checked once more, and at most charged for an item that did not start.
-- Uses: prove, time, lanes
prove('TIME HDEL HGET ZRANGE ZADD ZREM EXISTS RPUSH HMGET HSET')
local lane = { name = ARGV[1], lanes = KEYS[1], changed = true }
lane.due, lane.retries, lane.claimed, lane.nudge, lane.busy = unpack(KEYS, 4)
for n = 2, 3 do
  if ARGV[n] == '1' then redis.call('HDEL', KEYS[n], lane.name) end
end
local now, gap = now_ms(), tonumber(ARGV[4])
if gap > 0 then
  local whole = math.max(tonumber(redis.call('HGET', KEYS[3], lane.name)) or 0, now)
  redis.call('HSET', KEYS[3], lane.name, whole + gap)
end
finish({ lane }, now)
return 1
