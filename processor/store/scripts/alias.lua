-- Makes a name an alias of a job, unless it is a job or an alias of another job.
-- KEYS  job:ALIAS
-- ARGV  the job's id, when the name expires (ms)
-- Returns  1 if the name is an alias of this job now, else 0
-- Safe twice: the second time only the expiry is set again.
-- Uses: prove
prove('GET SET')
local found = redis.call('GET', KEYS[1]) or ''
if found ~= '' and found ~= 'to ' .. ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 'to ' .. ARGV[1], 'PXAT', ARGV[2])
return 1
