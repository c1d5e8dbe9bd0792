-- Picks the items of a lane that may start now, and holds them under a lease.
-- Uses: time, command_buffer

-- Adds the first items of a set, `most` at most, from rows of item and time.
local function add_picked(lane, picked, set, rows, most)
  for n = 1, math.min(#rows, 2 * most), 2 do
    local item = rows[n]
    picked[#picked + 1], lane.from[item], lane.was_due[item] = item, set, rows[n + 1]
  end
end

-- Picks items that may start now, `most` at most, and `cap` with those that are held: first items
-- whose lease has ended; then new items, except that a tenth of the places is for retries (the time
-- decides about a fraction of a place). `lane.from` has the set in which each item waits, and
-- `lane.was_due` since when.
local function pick(lane, cap, most, now)
  local picked = due_members(lane.claimed, now, most)
  lane.from, lane.was_due = {}, {}
  local free = math.min(most - #picked, cap - redis.call('ZCARD', lane.claimed))
  if free <= 0 then return picked end
  local again = due_with_times(lane.retries, now, free)
  local retries = math.min(#again / 2, math.floor((free + now % 10) / 10))
  local new = due_with_times(lane.due, now, free - retries)
  add_picked(lane, picked, lane.due, new, free)
  add_picked(lane, picked, lane.retries, again, free - #new / 2)
  return picked
end

-- Claims items that were picked, until their payloads have so many `bytes`; the others stay where
-- they are. Returns how many, and the bytes of their payloads. Appends lane, item, payload, token
-- and since when it was due (0: unknown) of each to `claimed`.
local function hold(lane, picked, bytes, lease, claimed)
  local payloads, count, used = {}, 0, 0
  if #picked > 0 then payloads = redis.call('HMGET', lane.items, unpack(picked)) end
  for n, item in ipairs(picked) do
    if used >= bytes then break end
    count = n
    if lane.from[item] then buffer('ZREM', lane.from[item], item) end
    if payloads[n] then
      used = used + #payloads[n]
      buffer('ZADD', lane.claimed, lease, item)
      for _, part in ipairs({ lane.name, item, payloads[n], lease, lane.was_due[item] or 0 }) do
        claimed[#claimed + 1] = part
      end
    else
      buffer('ZREM', lane.claimed, item)
    end
  end
  flush()
  return count, used
end
