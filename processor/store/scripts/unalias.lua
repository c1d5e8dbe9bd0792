-- Has an alias of a deleted job end with the job's tombstone, so that it points to nothing later.
-- KEYS  job:ALIAS
-- ARGV  the job's id, how long it stays (ms)
-- Returns  1, or 0 when the name is not this job's alias
-- Safe twice: an end is only ever brought forward.
prove('GET PEXPIRE')
if redis.call('GET', KEYS[1]) ~= 'to ' .. ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2], 'LT')
return 1
