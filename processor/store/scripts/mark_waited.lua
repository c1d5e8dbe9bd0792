-- Marks a job as waited for, and brings its next poll forward.
-- KEYS  waited:S, lanes:poll, items:poll, due:poll:S, retries:poll:S, claimed:poll:S, nudge:poll,
--       busy:poll
-- ARGV  source, item, for how long somebody waits (ms), how many jobs of the source may be waited
--       for, the least time between two polls (ms), before when the provider wants no poll (ms)
-- Returns  1 if it is marked, 0 if too many others are
-- A poll is not brought forward before both times. Where polls of the source leave late, it goes
-- ahead of others by as much. Safe twice: then the mark lasts longer.
-- Uses: prove, time, lanes, bring_forward
prove([[TIME ZREMRANGEBYSCORE ZSCORE ZCARD ZADD PEXPIRE HGET ZRANGE ZREM HDEL HMGET HSET EXISTS
  RPUSH]])
local now, item, wait = now_ms(), ARGV[2], tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], item)
  and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', KEYS[1], 'GT', now + wait, item)
redis.call('PEXPIRE', KEYS[1], 120000)

local lane = { name = ARGV[1], lanes = KEYS[2], items = KEYS[3], due = KEYS[4] }
lane.retries, lane.claimed, lane.nudge, lane.busy = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local first = first_due(lane)
local at, late = math.max(now, tonumber(ARGV[6])), first and math.max(now - first, 0) or 0
bring_forward(lane, item, at, tonumber(ARGV[5]), late)
finish({ lane }, now)
return 1
