-- Redis' time, and sorted sets by time. All times are in ms.

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- The time of the first member (nil: the set is empty).
local function first_time(key)
  return tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
end

-- The members up to now, `most` at most, without the first `skip` (nil: none) of them.
local function due_members(key, now, most, skip)
  return redis.call('ZRANGE', key, '-inf', now, 'BYSCORE', 'LIMIT', skip or 0, most)
end

-- The same members, each followed by its time.
local function due_with_times(key, now, most)
  return redis.call('ZRANGE', key, '-inf', now, 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
end
