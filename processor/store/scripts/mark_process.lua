-- Writes the mark of a process, even if Redis is full: a process that runs must not seem dead.
-- KEYS  rb:processes
-- ARGV  name of the process, its mark
-- Returns  1
-- Safe twice: the mark is the same.
-- Uses: prove
prove('HSET')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
