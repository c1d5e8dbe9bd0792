-- Claims work out of lanes: for a worker that asks for it, and for one that commits it.
-- Uses: command_buffer, nudge, lanes, picking, rate_limit

-- How soon a lane whose rate limit is used up is checked again at the latest (ms): its limit may be
-- another by then.
local RECHECK = 1000

-- How many items may be claimed beyond the claimer's room, so that each lane of a claim gives one:
-- it has as many lanes at most. A commit may have thousands.
local BEYOND = 64

-- Claims what can start now in LANEs {name, items, lanes, due, retries, claimed, capacity, gap (ms
-- per item, 0: no budget), burst (items at once), share (the claimer's, of the capacity)}: of each
-- a fair part of the claimer's room {limit (items), bytes (of payloads), lease (ms)}, within the
-- lane's capacity and budget; nothing of a paused lane. The bytes that a lane does not need are for
-- the next ones. Sets `lane.at`: when a lane must be checked again. Returns of each item, one after
-- another: lane, item, payload, token (end of the lease), since when it was due.
local function claim(lanes, room, paused, rate_limit, now)
  local part, claimed = math.ceil(room.limit / math.max(#lanes, 1)), {}
  local most = room.limit + BEYOND
  for n, lane in ipairs(lanes) do
    local pause = tonumber(redis.call('HGET', paused, lane.name)) or 0
    if pause > now then
      redis.call('ZADD', lane.lanes, pause, lane.name) -- leases that end before then wait as well
    else
      if pause > 0 then redis.call('HDEL', paused, lane.name) end
      local spare, whole = budget(rate_limit, lane.name, lane.gap, lane.burst, now)
      local picked = pick(lane, lane.share, math.min(part, spare, most), now)
      local bytes = math.ceil(room.bytes / (#lanes - n + 1))
      local count, used = hold(lane, picked, bytes, now + room.lease, claimed)
      most, room.bytes = most - count, room.bytes - used
      if lane.gap > 0 and count > 0 then
        redis.call('HSET', rate_limit, lane.name, whole + count * lane.gap)
      end
      local at = first_due(lane)
      if redis.call('ZCARD', lane.claimed) >= lane.capacity then at = nil end
      if at and spare <= count then
        local next_at = whole + (count + 1 - lane.burst) * lane.gap
        at = math.max(at, math.min(next_at, now + RECHECK))
      end
      lane.at = index(lane, at)
    end
  end
  return claimed
end

-- The same for a script that has put items into lanes, those that have a capacity; nudges others
-- for what it leaves.
local function claim_changed(lanes, room, paused, rate_limit, now)
  local open = {}
  for _, lane in ipairs(lanes) do
    if lane.changed and lane.capacity then
      open[#open + 1], lane.changed = lane, false
    end
  end
  if not open[1] then return {} end
  flush()
  local claimed = claim(open, room, paused, rate_limit, now)
  for _, lane in ipairs(open) do
    if lane.at and lane.at <= now then nudge(lane.nudge, lane.busy) end
  end
  return claimed
end
