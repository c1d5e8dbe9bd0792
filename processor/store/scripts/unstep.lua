-- Takes a step back of Redis' clock out of the times of a lane, a piece at a time: what would be
-- due in five minutes by the clock as it was is due in five minutes by the clock as it is.
-- KEYS  stepped, lanes:B, parked:B, paced:B, held:B:L, due:B:L, again:B:L
-- ARGV  which step this is, how long it was (ms), Redis' time behind it (ms), lane, items at most
-- Returns  1 if more of the lane is left, else 0
-- Invariant: no time is moved twice for one step: `stepped` says up to where that was done.
-- Safe twice: the second time goes on where the first one ended.
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
for place = 6, 7 do
  local key = KEYS[place]
  local after = '(' .. (redis.call('HGET', KEYS[1], key) or ARGV[3])
  local got = redis.call(
    'ZRANGE', key, after, '(' .. NOT_YET, 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
  local last = got[#got]
  for n = 1, #got, 2 do
    if got[n + 1] ~= last then buffer('ZADD', key, moved(got[n + 1]), got[n]) end
  end
  if last then -- and all others of the same moment, for the next piece begins behind it
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
  for place = 3, 4 do
    local at = tonumber(redis.call('HGET', KEYS[place], name))
    if at and at > from then redis.call('HSET', KEYS[place], name, moved(at)) end
  end
end
local at = soonest({ due = KEYS[6], again = KEYS[7] })
if at and at < NOT_YET then redis.call('ZADD', KEYS[2], 'LT', at, name) end
return more
