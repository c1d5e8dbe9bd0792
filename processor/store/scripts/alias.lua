-- Makes a name an alias of a job, unless it already is a job or another's alias.
-- KEYS  job:ALIAS
-- ARGV  the job's id, when the name ends (ms)
-- Returns  1 when the name is this job's alias now, else 0
local to = redis.call('HGET', KEYS[1], 'to')
if not to and redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if to and to ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'to', ARGV[1])
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
return 1
