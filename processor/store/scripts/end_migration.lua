-- Notes that a store has the next schema: the last write of a step of the migration.
-- KEYS  rb:meta
-- ARGV  the schema that the step started from, the schema that the store has now, an id for a store
--       that has none
-- Returns  1, or 0 if the store has another schema by now
-- Safe twice: the second time it has.
-- Uses: prove
prove('HGET HSETNX HSET HDEL')
if redis.call('HGET', KEYS[1], 'schema') ~= ARGV[1] then return 0 end
redis.call('HSETNX', KEYS[1], 'id', ARGV[3])
redis.call('HSET', KEYS[1], 'schema', ARGV[2])
redis.call('HDEL', KEYS[1], 'migrating')
return 1
