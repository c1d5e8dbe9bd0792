-- Notes up to which event of the log the overflow of a subscription was enqueued.
-- KEYS  overflow
-- ARGV  the subscription, the id of the last event that was enqueued, how many deliveries
--       were enqueued on the way to it
-- Returns  1 if nothing is left, 0 if there is more
-- Invariant: what a commit has spilled since stays noted, and the note never moves back.
-- Safe twice: it is noted already.
-- Uses: prove
prove('HGET HDEL HSET')
local span = redis.call('HGET', KEYS[1], ARGV[1])
if not span then return 1 end
local from, last, count = span:match('(%S+) (%S+) ?(%d*)')
local function is_before(id, other)
  local ms, n = id:match('(%d+)-(%d+)')
  local other_ms, other_n = other:match('(%d+)-(%d+)')
  ms, n, other_ms, other_n = tonumber(ms), tonumber(n), tonumber(other_ms), tonumber(other_n)
  return ms < other_ms or (ms == other_ms and n < other_n)
end
if not is_before(ARGV[2], last) then
  redis.call('HDEL', KEYS[1], ARGV[1])
  return 1
end
if is_before(from, ARGV[2]) then
  local left = math.max((tonumber(count) or 0) - ARGV[3], 0)
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%s %s %.0f', ARGV[2], last, left))
end
return 0
