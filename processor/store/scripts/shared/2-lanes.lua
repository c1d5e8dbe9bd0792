-- Lanes of backlogs. An item waits in due:B:L, or in retries:B:L once an attempt at it failed, by
-- its due time; or it is in claimed:B:L, by the end of its lease. Its payload is in items:B.
-- lanes:B has each lane that has items, by the time when it must be checked: never later than the
-- first item is due, sometimes earlier.
-- Uses: time, command_buffer, nudge, waiting

local function put(lane, item, at, payload, set)
  note_size(lane, item, #payload)
  buffer('ZADD', set or lane.due, at, item)
  buffer('HSET', lane.items, item, payload)
  lane.changed = true
end

-- Drops an item of ingest or poll, whether it waits or is claimed. None of these is ever in
-- retries:B:L, where only deliveries wait.
local function drop(lane, item)
  note_size(lane, item, 0)
  buffer('ZREM', lane.due, item)
  buffer('ZREM', lane.claimed, item)
  buffer('HDEL', lane.items, item)
  lane.changed = true
end

-- When the first waiting item of a lane is due (nil: none waits).
local function first_due(lane)
  local at, again = first_time(lane.due), first_time(lane.retries)
  if at and again then return math.min(at, again) end
  return at or again
end

-- Sets when a lane must be checked; `at` is when its waiting items may start (nil: none may).
local function index(lane, at)
  local lease_end = first_time(lane.claimed)
  if lease_end and (not at or lease_end < at) then at = lease_end end
  if not at then redis.call('ZREM', lane.lanes, lane.name) end
  if at then redis.call('ZADD', lane.lanes, at, lane.name) end
  return at
end

-- Sends what was buffered, and nudges the backlogs in which an item is due: a script's last call.
local function finish(lanes, now)
  flush()
  for _, lane in ipairs(lanes) do
    write_sizes(lane)
    local at = lane.changed and index(lane, first_due(lane))
    if at and at <= now then nudge(lane.nudge, lane.busy) end
  end
end
