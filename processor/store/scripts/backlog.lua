-- What the scripts that touch a backlog share; the loader puts it in front of each.
-- An item is in due:B:L (waiting, by due time) or in held:B:L (claimed, by the end of its
-- lease); its payload is in items:B. lanes:B holds each lane that has items, by the time
-- at which it is worth looking at: never later than true, sometimes earlier.

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Arguments to the same command on the same key are gathered and sent as one: a call costs
-- more than what it carries. Removals go first, so that what is dropped can be put anew.
local gathered = { ZREM = {}, HDEL = {}, ZADD = {}, HSET = {} }
local ORDER = { 'ZREM', 'HDEL', 'ZADD', 'HSET' }

local function gather(command, key, a, b)
  local args = gathered[command][key]
  if not args then args = {}; gathered[command][key] = args end
  args[#args + 1] = a
  if b then args[#args + 1] = b end
end

local function send()
  for _, command in ipairs(ORDER) do
    for key, args in pairs(gathered[command]) do
      for from = 1, #args, 1000 do
        redis.call(command, key, unpack(args, from, math.min(from + 999, #args)))
      end
    end
    gathered[command] = {}
  end
end

-- Wakes a worker, unless one is awake (`busy`) or about to be.
local function nudge(key, busy)
  if redis.call('EXISTS', key, busy) == 0 then redis.call('RPUSH', key, '1') end
end

local function first(key)
  return tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
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
