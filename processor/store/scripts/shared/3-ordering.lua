-- Turns. Deliveries of one job, to a subscription that wants them in order, are in order:SUB:UID by
-- sequence. One of them is due, waits to be tried again, or is held; each other one is in due:B:L
-- at NOT_YET. One that failed and may be left out has its sequence below 0.

local NOT_YET = 9e15 -- ms: later than any time

-- Makes an item due now that waits for a later time; one that waits for its turn goes on waiting.
local function run_now(lane, item, now)
  local at = redis.call('ZSCORE', lane.again, item) or redis.call('ZSCORE', lane.due, item)
  at = tonumber(at)
  if at and at > now and at < NOT_YET then
    buffer('ZREM', lane.again, item)
    buffer('ZADD', lane.due, now, item)
    touched[lane] = true
  end
end

-- The one in front of its turns, and its sequence. What has no payload has ended, and is forgotten.
local function first_in_order(lane, order)
  while true do
    local front = redis.call('ZRANGE', order, 0, 0, 'WITHSCORES')
    if not front[1] or redis.call('HEXISTS', lane.items, front[1]) == 1 then
      return front[1], tonumber(front[2] or 0)
    end
    redis.call('ZREM', order, front[1])
  end
end

-- Puts {place of lane, item, at (ms, 0: now), payload, order?, sequence?}: at its time, or behind
-- the others of its turns. If an earlier one may be left out now, that is looked at at once.
local function enqueue(lanes, put_of, now)
  local lane, item, at, payload, order, sequence = unpack(put_of)
  lane, at = lanes[lane], at > 0 and at or now
  if order then
    local front, passed = first_in_order(lane, KEYS[order])
    local known = redis.call('ZADD', KEYS[order], 'NX', sequence, item) == 0
    if known and redis.call('HEXISTS', lane.items, item) == 1 then return end
    redis.call('HSET', lane.items, item, ARGV[payload]) -- at once: the next one looks for it
    if front then at = NOT_YET end
    if passed < 0 and -passed < sequence then run_now(lane, front, now) end
  end
  put(lane, item, at, ARGV[payload])
end

-- Notes that an item failed and may be left out; when to look at it again: now, if later ones wait.
local function let_others_pass(order, item, sequence, at, now)
  redis.call('ZADD', order, 'XX', -sequence, item)
  return redis.call('ZCOUNT', order, sequence, '+inf') > 0 and now or at
end

-- Takes an item that ends out of its turns. Whether it had its turn, which is then to be handed on.
local function leave_order(lane, order, item)
  local was = redis.call('ZREM', order, item) == 1
  return was and tonumber(redis.call('ZSCORE', lane.due, item)) ~= NOT_YET
end

-- Lets the first of those that are left have its turn.
local function start_next(lane, order, now)
  local item = first_in_order(lane, order)
  if item and tonumber(redis.call('ZSCORE', lane.due, item)) == NOT_YET then
    buffer('ZADD', lane.due, now, item)
  end
end
