-- Counts how a lane's last attempt went, and says how much the lane is distrusted.
-- KEYS  1 failure_scores
-- ARGV  1 lane, 2 "ok" | "unavailable" | "refused", 3 the most distrust, 4 when it began (ms),
--       5 ms to live
-- Returns  {distrust, ms of the first failure since the last success or 0, failures since then}
-- An unavailable attempt adds one, unless it began before the last that did: many that hang at the
-- same time are one reason to distrust. A good one halves. A refused one only counts as a failure.
-- Safe twice: the same attempt may count as two failures, and nothing rests longer for it.
prove('TIME HGET HDEL HSET PEXPIRE')
local lane, how, most, began = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local known = redis.call('HGET', KEYS[1], lane)
local distrust, since, failures, last = 0, 0, 0, 0
if known then
  local d, s, f, l = string.match(known, '(%d+) (%d+) (%d+) (%d+)')
  distrust, since, failures, last = tonumber(d), tonumber(s), tonumber(f), tonumber(l)
end
if how == 'ok' then
  distrust, since, failures = math.floor(distrust / 2), 0, 0
else
  if how == 'unavailable' and began >= last then
    distrust, last = math.min(distrust + 1, most), now_ms()
  end
  if failures == 0 then since = now_ms() end
  failures = failures + 1
end
if distrust == 0 and failures == 0 then
  if known then redis.call('HDEL', KEYS[1], lane) end
else
  local text = string.format('%.0f %.0f %.0f %.0f', distrust, since, failures, last)
  redis.call('HSET', KEYS[1], lane, text)
  redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[5]))
end
return {distrust, since, failures}
