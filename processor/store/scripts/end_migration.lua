-- Notes that a store has the next schema, which is the last word of a migration.
-- KEYS  rb:meta
-- ARGV  the schema that it was brought from, the one that it has now, an id for a store without one
-- Returns  1, or 0 when its schema is another by now
-- Safe twice: the second time it is.
prove('HGET HSETNX HSET HDEL')
if redis.call('HGET', KEYS[1], 'schema') ~= ARGV[1] then return 0 end
redis.call('HSETNX', KEYS[1], 'id', ARGV[3])
redis.call('HSET', KEYS[1], 'schema', ARGV[2])
redis.call('HDEL', KEYS[1], 'migrating')
return 1
