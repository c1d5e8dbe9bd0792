-- Lanes of backlogs. An item waits in due:B:L, or in again:B:L once an attempt at it failed, by
-- due time; or it is in held:B:L (claimed, by the end of its lease). Its payload is in items:B.
-- lanes:B holds each lane that has items, by the time at which it is worth looking at: never
-- later than true, sometimes earlier.

-- A LANE in ARGV[1] is {name, bounded (a subscription's, of which only so many wait), lanes, items,
-- due, again, held, nudge, busy, waiting? (places in KEYS)}; here keys take their places' place.
local touched = {}

local function keys_of(lanes)
  for _, lane in ipairs(lanes) do
    for _, key in ipairs({ 'lanes', 'items', 'due', 'again', 'held', 'nudge', 'busy' }) do
      lane[key] = KEYS[lane[key]]
    end
    lane.misfit = misfits[lane.due] or misfits[lane.again] or misfits[lane.held]
    lane.waiting = KEYS[lane.waiting]
  end
  return lanes
end

local function put(lane, item, at, payload, where)
  weigh(lane, item, #payload)
  buffer('ZADD', where or lane.due, at, item)
  buffer('HSET', lane.items, item, payload)
  touched[lane] = true
end

-- Drops a timer: what was tried is never dropped, so it is not looked for in again:B:L.
local function drop(lane, item)
  weigh(lane, item, 0)
  buffer('ZREM', lane.due, item)
  buffer('ZREM', lane.held, item)
  buffer('HDEL', lane.items, item)
  touched[lane] = true
end

-- When the first item of a lane that waits is due (nil: none waits).
local function soonest(lane)
  local at, again = first(lane.due), first(lane.again)
  if at and again then return math.min(at, again) end
  return at or again
end

-- Sets a lane's place in the index; `at` is when its waiting items may start (nil: never).
local function index(lane, at)
  local lapse = first(lane.held)
  if lapse and (not at or lapse < at) then at = lapse end
  if not at then redis.call('ZREM', lane.lanes, lane.name) end
  if at then redis.call('ZADD', lane.lanes, at, lane.name) end
  return at
end

-- Writes what was buffered, and nudges the backlogs in which something is due.
local function finish(now)
  flush()
  note_weights()
  for lane in pairs(touched) do
    local at = index(lane, soonest(lane))
    if at and at <= now then nudge(lane.nudge, lane.busy) end
  end
end
