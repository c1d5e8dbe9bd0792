-- Notes that Redis' clock was set back, unless another process has noted that already.
-- KEYS  rb:meta
-- ARGV  how many steps were noted while the clock was still right, how long this one is (ms)
-- Returns  1 if it is noted now, else 0
-- Safe twice: the second time there is one step more than the caller knows of.
-- Uses: prove, time
prove('TIME HGET HSET')
if (redis.call('HGET', KEYS[1], 'steps') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'steps', ARGV[1] + 1, 'step', ARGV[2], 'stepped', now_ms())
return 1
