-- What of a lane may start, how fast, and whether a worker is awake.

-- How many items a budget allows now, and when the budget will be whole again (ms). It fills
-- by one item every `gap` ms, up to `burst` of them; a gap of 0 is no budget.
local function budget(paced, name, gap, burst, now)
  if gap == 0 then return math.huge, now end
  local whole = math.max(tonumber(redis.call('HGET', paced, name)) or 0, now)
  -- Not (now + burst * gap - whole) / gap: what a time of today cannot hold would be lost.
  return math.max(math.floor(burst - (whole - now) / gap), 0), whole
end

-- Takes what starts now, `most` at most and `cap` with what is held: first what was held when its
-- lease ran out; then what was never tried, but for a tenth of the places, which is for what waits
-- to be tried again (the time decides on fractions of one). `lane.from` says where each waits.
local function take(lane, cap, most, now)
  local got = until_now(lane.held, now, most)
  lane.from = {}
  local free = math.min(most - #got, cap - redis.call('ZCARD', lane.held))
  if free <= 0 then return got end
  local again, kept = until_now(lane.again, now, free), math.floor((free + now % 10) / 10)
  local new = until_now(lane.due, now, free - math.min(#again, kept))
  for n = 1, math.min(free, #new + #again) do
    local item = new[n] or again[n - #new]
    got[#got + 1], lane.from[item] = item, new[n] and lane.due or lane.again
  end
  return got
end

-- Hands out what was taken, until that has so many bytes; the rest stays where it is. How many that
-- were, and their bytes; `claimed` gets lane, item, payload and token of each.
local function hand_out(lane, got, items, lease, bytes, claimed)
  local payloads, count, size = #got > 0 and redis.call('HMGET', items, unpack(got)) or {}, 0, 0
  for n, item in ipairs(got) do
    if size >= bytes then break end
    count = n
    if lane.from[item] then buffer('ZREM', lane.from[item], item) end
    if payloads[n] then
      size = size + #payloads[n]
      buffer('ZADD', lane.held, lease, item)
      for _, part in ipairs({ lane.name, item, payloads[n], lease }) do
        claimed[#claimed + 1] = part
      end
    else
      buffer('ZREM', lane.held, item)
    end
  end
  flush()
  return count, size
end

-- A worker that claimed something will claim again: nobody need be woken meanwhile.
local function awake(busy, me, for_ms, found)
  if found then
    redis.call('SET', busy, me, 'PX', for_ms)
  elseif redis.call('GET', busy) == me then
    redis.call('DEL', busy)
  end
end
