-- Notes a process' heartbeat, in a full Redis too: what lives must not look dead.
-- KEYS  rb:workers or rb:processes
-- ARGV  the process' name, what it says
-- Returns  1
-- Safe twice: the heartbeat is the same.
prove('HSET')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
