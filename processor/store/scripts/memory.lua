-- Reads how much work waits: the reserve of memory is computed from that.
-- KEYS  waiting, items:ingest, items:deliver
-- Returns  fields and values of waiting, how many items of ingest there are, and how many of
--          deliver
-- Uses: prove
prove('HGETALL HLEN')
return { redis.call('HGETALL', KEYS[1]), redis.call('HLEN', KEYS[2]), redis.call('HLEN', KEYS[3]) }
