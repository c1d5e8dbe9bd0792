-- What the scripts that touch a backlog share; the loader puts it in front of each.
-- An item is in due:B:L (waiting, by due time) or in held:B:L (claimed, by the end of its
-- lease); its payload is in items:B. lanes:B holds each lane that has items, by the time
-- at which it is worth looking at: never later than true, sometimes earlier.

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function put(lanes, items, due, lane, item, at, payload)
  redis.call('ZADD', due, at, item)
  redis.call('HSET', items, item, payload)
  redis.call('ZADD', lanes, 'LT', at, lane)
end

-- Takes an item out for good; says whether it was there.
local function drop(items, due, held, item)
  redis.call('ZREM', due, item)
  redis.call('ZREM', held, item)
  return redis.call('HDEL', items, item) == 1
end

local function first(key)
  return tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
end

-- Sets a lane's place in the index; `at` is when its waiting items may start (nil: never).
local function index(lanes, held, lane, at)
  local lapse = first(held)
  if lapse and (not at or lapse < at) then at = lapse end
  if at then redis.call('ZADD', lanes, at, lane) else redis.call('ZREM', lanes, lane) end
  return at
end

local function nudge(key)
  if redis.call('EXISTS', key) == 0 then redis.call('RPUSH', key, '1') end
end
