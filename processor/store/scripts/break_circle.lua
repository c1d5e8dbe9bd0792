-- Makes one of the aliases that lead to each other the id of their job.
-- KEYS  job:NAME
-- ARGV  what it was when it was read (`to ID`), what it becomes (`new-UID` or `held-UID`), how
--       long that lasts (ms)
-- Returns  1, or 0 if it is something else by now
-- Safe twice: the second time the name is not an alias any more, and stays as it is.
-- Uses: prove
prove('GET SET')
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
