-- Lets an alias of a deleted job expire with the job's tombstone, so that it never points to
-- nothing.
-- KEYS  job:ALIAS
-- ARGV  the job's id, how long the alias lives (ms)
-- Returns  1, or 0 if the name is not an alias of this job
-- Safe twice: the expiry is only brought forward.
-- Uses: prove
prove('GET PEXPIRE')
if redis.call('GET', KEYS[1]) ~= 'to ' .. ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2], 'LT')
return 1
