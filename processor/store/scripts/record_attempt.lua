-- Records how a lane's last attempt went, in its failure score.
-- KEYS  failure_scores
-- ARGV  lane, "ok" | "unavailable" | "refused", the highest score, when the attempt began (ms),
--       ms to live
-- Returns  {score, ms of the first failure since the last success or 0, failures since then,
--           1 if this attempt was counted, else 0}
-- An unavailable attempt adds one, unless it began before the last one that did: many attempts that
-- hang at the same time count once. A good one halves the score. A refused one counts as a failure,
-- but leaves the score as it is.
-- Safe twice: a refused attempt may count as two failures, an unavailable one as one.
-- Uses: prove, time
prove('TIME HGET HDEL HSET PEXPIRE')
local lane, outcome, highest, began = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local now = now_ms()
local known = redis.call('HGET', KEYS[1], lane)
local score, since, failures, last = 0, 0, 0, 0
if known then
  local s, f, n, l = string.match(known, '(%d+) (%d+) (%d+) (%d+)')
  score, since, failures, last = tonumber(s), tonumber(f), tonumber(n), tonumber(l)
  since = math.min(since, now)
  if last > now then last = 0 end -- the clock was set back
end
if outcome == 'unavailable' and began < last then return { score, since, failures, 0 } end
if outcome == 'ok' then
  score, since, failures = math.floor(score / 2), 0, 0
else
  if outcome == 'unavailable' then
    score, last = math.min(score + 1, highest), now
  end
  if failures == 0 then since = now end
  failures = failures + 1
end
if score == 0 and failures == 0 then
  if known then redis.call('HDEL', KEYS[1], lane) end
else
  local text = string.format('%.0f %.0f %.0f %.0f', score, since, failures, last)
  redis.call('HSET', KEYS[1], lane, text)
  redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[5]))
end
return { score, since, failures, 1 }
