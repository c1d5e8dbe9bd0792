-- Joins the fleet of a store: the first process of a store says of what kind it is, and whoever
-- ran before it does so again in a store that was emptied.
-- KEYS  rb:meta
-- ARGV  shards, schema, id (a random word), since when this process runs (ms)
-- Returns  all fields and values of rb:meta, as they now are
-- Invariant: of two that disagree about the shards of a store that was made in the last 30 s the
-- one that runs longer is right; later, what the store says.
-- Safe twice: the second time nothing is missing.
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
