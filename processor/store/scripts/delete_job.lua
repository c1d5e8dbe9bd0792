-- Deletes a job, and keeps a tombstone for a while, so that late pushes of it are ignored. Its
-- timers find no job when they fall due.
-- KEYS  job, history, answer, jobs
-- ARGV  name of the job, how long the tombstone lives (ms)
-- Returns  1, or 0 if there was no job
-- Safe twice: the second time there is none.
-- Uses: prove
prove('GETRANGE SET DEL ZREM')
if not redis.call('GETRANGE', KEYS[1], 0, 20):match('^%d') then return 0 end
redis.call('SET', KEYS[1], 'gone', 'PX', ARGV[2])
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[4], ARGV[1])
return 1
