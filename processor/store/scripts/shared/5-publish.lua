-- Publishes events: appends them to the log, and enqueues their deliveries.
-- Uses: ordering, event_bodies

-- The id right before another one: nobody publishes so much in one millisecond.
local function id_before(id)
  local ms, n = id:match('(%d+)-(%d+)')
  if n ~= '0' then return string.format('%s-%.0f', ms, n - 1) end
  return string.format('%.0f-9223372036854775807', ms - 1)
end

-- Leaves a delivery in the log, to be enqueued later, if its subscription has `most` that wait, or
-- has overflow already, which goes first. Returns whether it did. `overflow` has the part of the
-- log by subscription: the events after the first id, up to the second, and how many it wants.
local function spill(overflow, most, lane, id)
  if not lane.room then
    lane.span = redis.call('HGET', overflow, lane.name)
    local waiting = redis.call('ZCARD', lane.due) + redis.call('ZCARD', lane.retries)
    lane.room = lane.span and 0 or most - waiting - redis.call('ZCARD', lane.claimed)
  end
  lane.room = lane.room - 1
  if lane.room >= 0 then return false end
  local from, count = (lane.span or id_before(id)):match('(%S+) ?%S* ?(%d*)')
  lane.span = string.format('%s %s %.0f', from, id, (tonumber(count) or 0) + 1)
  redis.call('HSET', overflow, lane.name, lane.span)
  return true
end

local older_bodies = {} -- ids of events that keep an older body

-- Publishes an EVENT {key (index in KEYS), id, type, body (index in ARGV), logged, items: [ITEM]}.
local function publish(log, overflow, most, lanes, e, now)
  local id, deliveries = nil, 0
  if e.logged then
    id = redis.call('XADD', log, '*', 'id', e.id, 'type', e.type, 'body', ARGV[e.body])
  end
  for _, i in ipairs(e.items) do
    local lane = lanes[i.lane]
    if not (id and lane.bounded and spill(overflow, most, lane, id)) then
      enqueue(lanes, i, now)
      deliveries = deliveries + 1
    end
  end
  if deliveries > 0 and keep_body(KEYS[e.key], ARGV[e.body], deliveries) then
    older_bodies[#older_bodies + 1] = e.id
  end
end
