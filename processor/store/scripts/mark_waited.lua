-- Marks a job as waited for, and brings its next poll forward.
-- KEYS  waited:S, lanes:poll, items:poll, due:poll:S, retries:poll:S, claimed:poll:S, nudge:poll,
--       busy:poll
-- ARGV  source, item, for how long somebody waits (ms), how many jobs of the source may be waited
--       for, the least time between two polls (ms), before when the provider wants no poll (ms)
-- Returns  1 if it is marked, 0 if too many others are
-- A poll is not brought forward before both times, nor one that somebody asked for: its payload is
-- not the interval (s) that it was planned with. Where the polls of the source leave late, it goes
-- ahead of others by as much. Safe twice: then the mark lasts longer.
-- Uses: prove, time, command_buffer, lanes
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
local due = tonumber(redis.call('ZSCORE', lane.due, item))
local interval = (redis.call('HGET', lane.items, item) or ''):match('^-?%d+%.%d+$')
if due and interval then
  local planned_at = due - interval * 1000
  local late = math.max(now - first_due(lane), 0)
  local at = math.max(now, planned_at + tonumber(ARGV[5]), tonumber(ARGV[6])) - late
  if at < due then
    buffer('ZADD', lane.due, at, item)
    buffer('HSET', lane.items, item, string.format('%.3f', (at - planned_at) / 1000))
    lane.changed = true
  end
end
finish({ lane }, now)
return 1
