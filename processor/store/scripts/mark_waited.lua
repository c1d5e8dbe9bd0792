-- Marks jobs of a source as waited for, and brings their next polls forward.
-- KEYS  waited:S, lanes:poll, items:poll, due:poll:S, retries:poll:S, claimed:poll:S, nudge:poll,
--       busy:poll
-- ARGV  source; per job: item, for how long somebody waits, how many jobs of the source may be
--       waited for, the least time between two polls, before when the provider wants no poll; in ms
-- Returns  per job 1 if it is marked, 0 if too many others are
-- A poll is not brought forward before both times. Where polls of the source leave late, it goes
-- ahead of others by as much. Safe twice: then the marks last longer.
-- Uses: prove, time, lanes, bring_forward
prove([[TIME ZREMRANGEBYSCORE ZSCORE ZCARD ZADD PEXPIRE HGET ZRANGE ZREM HDEL HMGET HSET EXISTS
  RPUSH]])
local now, results = now_ms(), {}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local lane = { name = ARGV[1], lanes = KEYS[2], items = KEYS[3], due = KEYS[4] }
lane.retries, lane.claimed, lane.nudge, lane.busy = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local first = first_due(lane)
local late = first and math.max(now - first, 0) or 0

local function mark(item, wait, most, floor, not_before)
  local is_new = not redis.call('ZSCORE', KEYS[1], item)
  if is_new and redis.call('ZCARD', KEYS[1]) >= most then return 0 end
  redis.call('ZADD', KEYS[1], 'GT', now + wait, item)
  bring_forward(lane, item, math.max(now, not_before), floor, late)
  return 1
end

for a = 2, #ARGV, 5 do
  local wait, most = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local floor, not_before = tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
  results[#results + 1] = mark(ARGV[a], wait, most, floor, not_before)
end
redis.call('PEXPIRE', KEYS[1], 120000)
finish({ lane }, now)
return results
