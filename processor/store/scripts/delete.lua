-- Deletes a job, and remembers for a while that it is deleted, so that late pushes of it are
-- ignored. Its timers find it gone when they fall due.
-- KEYS  job, history, answer, jobs
-- ARGV  name of the job, how long to remember (ms)
-- Returns  1, or 0 when there was no job
if not redis.call('HGET', KEYS[1], 'v') then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('HSET', KEYS[1], 'gone', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
