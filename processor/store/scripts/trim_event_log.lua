-- Trims the event log to its age and length, and remembers the newest event that went.
-- KEYS  log, log:trimmed
-- ARGV  the oldest place to keep, how many events to keep at most
-- Returns  how many events went
-- Safe twice: the second time none is left to go.
prove('XREVRANGE XTRIM XLEN XRANGE SET')
local last = redis.call('XREVRANGE', KEYS[1], '(' .. ARGV[1], '-', 'COUNT', 1)[1]
local gone = redis.call('XTRIM', KEYS[1], 'MINID', '=', ARGV[1])
local more = redis.call('XLEN', KEYS[1]) - ARGV[2]
if more > 0 then -- all but one first: that one is the last to go
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', ARGV[2] + 1)
  last = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', ARGV[2])
end
if last then redis.call('SET', KEYS[2], last[1]) end
return gone + math.max(more, 0)
