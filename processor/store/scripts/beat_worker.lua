-- Writes the heartbeat of a worker, even if Redis is full, under the lowest number that no other
-- live worker has; removes those of dead workers.
-- KEYS  rb:workers
-- ARGV  id of the worker, the time (s), the time of the oldest heartbeat that counts (s), metrics
-- Returns  its name, `worker-N`
-- Safe twice: it keeps its number.
-- Uses: prove
prove('HGETALL HDEL HSET')
local id, now, oldest, metrics = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local rows, taken, name = redis.call('HGETALL', KEYS[1]), {}, nil
for n = 1, #rows, 2 do
  local known, its = string.match(rows[n], '^(%S+) (%S+)$')
  local at = tonumber(string.match(rows[n + 1], '^%S+')) or 0
  if its == id then
    name = known
  elseif at < oldest then
    redis.call('HDEL', KEYS[1], rows[n])
  elseif known then
    taken[known] = true
  end
end
local number = 1
while taken['worker-' .. number] do number = number + 1 end
name = name or 'worker-' .. number
redis.call('HSET', KEYS[1], name .. ' ' .. id, now .. ' ' .. metrics)
return name
