-- Lanes as a script's arguments.
-- Uses: prove

-- A LANE in ARGV[1] is {name, bounded (a subscription's: only so many deliveries wait), and indexes
-- in KEYS: lanes, items, due, retries, claimed, nudge, busy, waiting?}. Replaces the indexes by the
-- keys.
local function open_lanes(lanes)
  for _, lane in ipairs(lanes) do
    for _, key in ipairs({ 'lanes', 'items', 'due', 'retries', 'claimed', 'nudge', 'busy' }) do
      lane[key] = KEYS[lane[key]]
    end
    lane.wrong = wrong_types[lane.due] or wrong_types[lane.retries] or wrong_types[lane.claimed]
    lane.waiting = KEYS[lane.waiting]
  end
  return lanes
end

-- What is wrong with the types of the keys that these items need: of their lanes, or their order.
local function wrong_type_of(lanes, items)
  if not next(wrong_types) then return end
  for _, i in ipairs(items) do
    local wrong = lanes[i.lane].wrong or wrong_types[KEYS[i.order]]
    if wrong then return wrong end
  end
end
