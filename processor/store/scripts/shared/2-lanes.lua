-- Lanes of backlogs. An item is in due:B:L (waiting, by due time) or in held:B:L (claimed, by
-- the end of its lease); its payload is in items:B. lanes:B holds each lane that has items, by
-- the time at which it is worth looking at: never later than true, sometimes earlier.

-- Wakes a worker, unless one is awake (`busy`) or about to be.
local function nudge(key, busy)
  if redis.call('EXISTS', key, busy) == 0 then redis.call('RPUSH', key, '1') end
end

-- Lanes as ARGV[1] names them, with their keys instead of the places of those.
local touched = {}

local function keys_of(lanes)
  for _, lane in ipairs(lanes) do
    for _, key in ipairs({ 'lanes', 'items', 'due', 'held', 'nudge', 'busy' }) do
      lane[key] = KEYS[lane[key]]
    end
  end
  return lanes
end

local function put(lane, item, at, payload)
  gather('ZADD', lane.due, at, item)
  gather('HSET', lane.items, item, payload)
  touched[lane] = true
end

local function drop(lane, item)
  gather('ZREM', lane.due, item)
  gather('ZREM', lane.held, item)
  gather('HDEL', lane.items, item)
  touched[lane] = true
end

-- Sets a lane's place in the index; `at` is when its waiting items may start (nil: never).
local function index(lane, at)
  local lapse = first(lane.held)
  if lapse and (not at or lapse < at) then at = lapse end
  if at then
    redis.call('ZADD', lane.lanes, at, lane.name)
  else
    redis.call('ZREM', lane.lanes, lane.name)
  end
  return at
end

-- Writes what was gathered, and nudges the backlogs in which something is due.
local function finish(now)
  send()
  for lane in pairs(touched) do
    local at = index(lane, first(lane.due))
    if at and at <= now then nudge(lane.nudge, lane.busy) end
  end
end
