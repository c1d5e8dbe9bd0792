-- Trims the event log to its age and length, and remembers up to where.
-- KEYS  log, log:trimmed
-- ARGV  the oldest place to keep, how many events to keep at most
-- Returns  how many events went
-- Safe twice: the second time none is left to go.
local past = redis.call('XREVRANGE', KEYS[1], '(' .. ARGV[1], '-', 'COUNT', 1)[1]
local gone = redis.call('XTRIM', KEYS[1], 'MINID', '=', ARGV[1])
if past then redis.call('SET', KEYS[2], past[1]) end
local more = redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', ARGV[2])
local oldest = more > 0 and redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if oldest then redis.call('SET', KEYS[2], oldest[1]) end
return gone + more
