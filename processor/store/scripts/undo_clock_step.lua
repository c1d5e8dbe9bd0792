-- Undoes a step back of Redis' clock in the times of a lane, a piece at a time: an item that was
-- due in five minutes by the old time is due in five minutes by the new one.
-- KEYS  clock_step, lanes:B, paused:B, rate_limit:B, claimed:B:L, due:B:L, retries:B:L
-- ARGV  number of the step, its length (ms), Redis' time after it (ms), lane, items at most
-- Returns  1 if more of the lane is left, else 0
-- Invariant: no time is moved twice for a step: `clock_step` has how far each set was done.
-- Safe twice: the second time continues where the first one ended.
-- Uses: prove, command_buffer, lanes, ordering
prove('HGET HSET DEL EXPIRE ZRANGE ZADD')
local step, from, name, most = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
if redis.call('HGET', KEYS[1], 'step') ~= ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'step', ARGV[1])
  redis.call('EXPIRE', KEYS[1], 3600)
end

local function moved(at)
  return math.max(at - step, from)
end

local more = 0
for n = 6, 7 do
  local key = KEYS[n]
  local after = '(' .. (redis.call('HGET', KEYS[1], key) or ARGV[3])
  local found = redis.call(
    'ZRANGE', key, after, '(' .. NOT_YET, 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
  local last = found[#found]
  for m = 1, #found, 2 do
    if found[m + 1] ~= last then buffer('ZADD', key, moved(found[m + 1]), found[m]) end
  end
  if last then -- and all others of the same time: the next piece begins after it
    for _, item in ipairs(redis.call('ZRANGE', key, last, last, 'BYSCORE')) do
      buffer('ZADD', key, moved(last), item)
    end
    redis.call('HSET', KEYS[1], key, last)
    more = 1
  end
end
flush()
if redis.call('HGET', KEYS[1], KEYS[2] .. name) ~= '1' then
  redis.call('HSET', KEYS[1], KEYS[2] .. name, '1')
  for n = 3, 4 do
    local at = tonumber(redis.call('HGET', KEYS[n], name))
    if at and at > from then redis.call('HSET', KEYS[n], name, moved(at)) end
  end
end
local at = first_due({ due = KEYS[6], retries = KEYS[7] })
if at and at < NOT_YET then redis.call('ZADD', KEYS[2], 'LT', at, name) end
return more
