-- Reads what waits: what the reserve of memory is worked out from.
-- KEYS  waiting, items:ingest, items:deliver
-- Returns  fields and values of waiting, how many items of ingest there are, and of deliver
prove('HGETALL HLEN')
return { redis.call('HGETALL', KEYS[1]), redis.call('HLEN', KEYS[2]), redis.call('HLEN', KEYS[3]) }
