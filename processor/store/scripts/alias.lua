-- Makes a name an alias of a job, unless it already is a job or another's alias.
-- KEYS  job:ALIAS
-- ARGV  the job's id, when the name ends (ms)
-- Returns  1 when the name is this job's alias now, else 0
-- Safe twice: the second time only the end is set anew.
prove('GET SET')
local stands = redis.call('GET', KEYS[1]) or ''
if stands ~= '' and stands ~= 'to ' .. ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 'to ' .. ARGV[1], 'PXAT', ARGV[2])
return 1
