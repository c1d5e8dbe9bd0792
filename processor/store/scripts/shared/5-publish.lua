-- Telling of events: the log, and the deliveries.

-- The place right before another: nobody tells so much in one millisecond.
local function before(place)
  local ms, n = place:match('(%d+)-(%d+)')
  if n ~= '0' then return string.format('%s-%.0f', ms, n - 1) end
  return string.format('%.0f-9223372036854775807', ms - 1)
end

-- Whether a delivery is left in the log, for the clock to bring later: its subscription has `most`
-- waiting, or some were left before, which then go first. `overflow` says which: those behind the
-- first place named there, up to the second.
local function spill(overflow, most, lane, place)
  if not lane.room then
    lane.span = redis.call('HGET', overflow, lane.name)
    local waiting = redis.call('ZCARD', lane.due) + redis.call('ZCARD', lane.again)
    lane.room = lane.span and 0 or most - waiting - redis.call('ZCARD', lane.held)
  end
  lane.room = lane.room - 1
  if lane.room >= 0 then return false end
  local from = lane.span and lane.span:match('%S+') or before(place)
  lane.span = from .. ' ' .. place
  redis.call('HSET', overflow, lane.name, lane.span)
  return true
end

-- Tells an event: it goes to the log, and its deliveries are put, each of which needs its body.
local function publish(log, overflow, most, lanes, e, now)
  local place, deliveries = nil, 0
  if e.logged then
    place = redis.call('XADD', log, '*', 'id', e.id, 'type', e.type, 'body', ARGV[e.body])
  end
  for _, p in ipairs(e.puts) do
    local lane = lanes[p[1]]
    if not (place and lane.bounded and spill(overflow, most, lane, place)) then
      enqueue(lanes, p, now)
      deliveries = deliveries + 1
    end
  end
  if deliveries > 0 then keep_body(KEYS[e.key], ARGV[e.body], deliveries) end
end
