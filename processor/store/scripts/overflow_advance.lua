-- Notes up to which event of the log the overflow of a subscription was enqueued.
-- KEYS  overflow
-- ARGV  the subscription, the id of the last event that was enqueued
-- Returns  1 if nothing is left, 0 if there is more
-- Invariant: what a commit has spilled since stays noted, and the note never moves back.
-- Safe twice: it is noted already.
-- Uses: prove
prove('HGET HDEL HSET')
local span = redis.call('HGET', KEYS[1], ARGV[1])
if not span then return 1 end
local from, last = span:match('(%S+) (%S+)')
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
if is_before(from, ARGV[2]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. last) end
return 0
