-- Joins the fleet of a store: the first process describes the store, and processes that run already
-- do so again after it was emptied.
-- KEYS  rb:meta
-- ARGV  shards, schema, id (a random word), since when this process runs (ms)
-- Returns  all fields and values of rb:meta, as they are now
-- Invariant: of processes that disagree about the shards of a store that is younger than 30 s, the
-- one that has run longer is right; later the store is.
-- Safe twice: the second time nothing is missing.
-- Uses: prove, time
prove('TIME HEXISTS DEL HSET HGET HMGET HGETALL')
local now = now_ms()
if redis.call('HEXISTS', KEYS[1], 'schema') == 0 then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'shards', ARGV[1], 'schema', ARGV[2], 'id', ARGV[3],
    'made', now, 'since', ARGV[4])
elseif redis.call('HGET', KEYS[1], 'shards') ~= ARGV[1] then
  local made, since = unpack(redis.call('HMGET', KEYS[1], 'made', 'since'))
  if now - tonumber(made or 0) < 30000 and tonumber(ARGV[4]) < tonumber(since or 0) then
    redis.call('HSET', KEYS[1], 'shards', ARGV[1], 'since', ARGV[4])
  end
end
return redis.call('HGETALL', KEYS[1])
