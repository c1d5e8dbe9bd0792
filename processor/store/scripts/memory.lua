-- Reads how much work waits: the reserve of memory is computed from that.
-- KEYS  waiting, items:ingest, items:deliver, overflow
-- Returns  fields and values of waiting, how many items of ingest there are, how many of
--          deliver, and how many deliveries are overflow
-- Writes nothing. Safe twice.
-- Uses: prove
prove('HGETALL HLEN')
local overflow = 0
for n, span in ipairs(redis.call('HGETALL', KEYS[4])) do
  if n % 2 == 0 then overflow = overflow + (tonumber(span:match('%S+ %S+ (%d+)')) or 0) end
end
local ingest, deliver = redis.call('HLEN', KEYS[2]), redis.call('HLEN', KEYS[3])
return { redis.call('HGETALL', KEYS[1]), ingest, deliver, overflow }
