-- Deliveries of one job to a subscription that wants them in order are in order:SUB:UID, by their
-- sequence. Only the first may start: it is due, waits to be retried, or is held. The others are in
-- due:B:L at NOT_YET. A negative sequence: it failed, and may be skipped.
-- Uses: command_buffer, lanes

local NOT_YET = 9e15 -- ms: later than any time

-- Makes an item due now that waits for a later time; not one that waits for an earlier delivery.
local function run_now(lane, item, now)
  local at = redis.call('ZSCORE', lane.retries, item) or redis.call('ZSCORE', lane.due, item)
  at = tonumber(at)
  if not at or at <= now or at >= NOT_YET then return end
  buffer('ZREM', lane.retries, item)
  buffer('ZADD', lane.due, now, item)
  lane.changed = true
end

-- The first item of an order, and its sequence. Items without a payload have ended: drops them.
local function first_in_order(lane, order)
  while true do
    local first = redis.call('ZRANGE', order, 0, 0, 'WITHSCORES')
    if not first[1] or redis.call('HEXISTS', lane.items, first[1]) == 1 then
      return first[1], tonumber(first[2] or 0)
    end
    redis.call('ZREM', order, first[1])
  end
end

-- Enqueues an ITEM {lane (index in lanes), item, at (0: now), payload (index in ARGV), order?
-- (index in KEYS), sequence?}: at its time, or after the others of its order. Makes the first of
-- these due if it may be skipped now.
local function enqueue(lanes, i, now)
  local lane, at = lanes[i.lane], i.at > 0 and i.at or now
  if i.order then
    local order = KEYS[i.order]
    local first, sequence = first_in_order(lane, order)
    local is_new = redis.call('ZADD', order, 'NX', i.sequence, i.item) == 1
    if not is_new and redis.call('HEXISTS', lane.items, i.item) == 1 then return end
    redis.call('HSET', lane.items, i.item, ARGV[i.payload]) -- now: the next item checks for it
    if first then at = NOT_YET end
    if sequence < 0 and -sequence < i.sequence then run_now(lane, first, now) end
  end
  put(lane, i.item, at, ARGV[i.payload])
end

-- Marks a failed item as one that may be skipped; returns when it is due: now if later ones wait.
local function mark_skippable(order, item, sequence, at, now)
  redis.call('ZADD', order, 'XX', -sequence, item)
  return redis.call('ZCOUNT', order, sequence, '+inf') > 0 and now or at
end

-- Removes an item that has ended from its order. Returns whether it was the one that could start.
local function leave_order(lane, order, item)
  if redis.call('ZREM', order, item) == 0 then return false end
  return tonumber(redis.call('ZSCORE', lane.due, item)) ~= NOT_YET
end

-- Lets the first of the items that are left start.
local function start_next(lane, order, now)
  local item = first_in_order(lane, order)
  if item and tonumber(redis.call('ZSCORE', lane.due, item)) == NOT_YET then
    buffer('ZADD', lane.due, now, item)
  end
end
