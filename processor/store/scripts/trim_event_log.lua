-- Trims the event log to its age and length, and notes the newest event that was trimmed.
-- KEYS  log, log:trimmed
-- ARGV  the oldest id to keep, how many events to keep at most
-- Returns  how many events were trimmed
-- Safe twice: the second time there is nothing to trim.
-- Uses: prove
prove('XREVRANGE XTRIM XLEN XRANGE SET')
local last = redis.call('XREVRANGE', KEYS[1], '(' .. ARGV[1], '-', 'COUNT', 1)[1]
local trimmed = redis.call('XTRIM', KEYS[1], 'MINID', '=', ARGV[1])
local more = redis.call('XLEN', KEYS[1]) - ARGV[2]
if more > 0 then -- all but one first: that one is the last to go
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', ARGV[2] + 1)
  last = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', ARGV[2])
end
if last then redis.call('SET', KEYS[2], last[1]) end
return trimmed + math.max(more, 0)
