-- Disables a subscription, if it still is what was read.
-- KEYS  subs, subs:version
-- ARGV  id, what was read, what it is to be, 1 if the file has it (then Redis may not)
-- Returns  1, or 0 when it was changed or removed meanwhile
-- Safe twice: the second time it is what it is to be.
local stands = redis.call('HGET', KEYS[1], ARGV[1])
if stands ~= ARGV[2] and not (ARGV[4] == '1') then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('INCR', KEYS[2])
return 1
