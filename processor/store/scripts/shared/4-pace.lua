-- How fast a lane may be started, and whether a worker is awake.

-- How many items a budget allows now, and when the budget will be whole again (ms). It fills
-- by one item every `gap` ms, up to `burst` of them; a gap of 0 is no budget.
local function budget(paced, name, gap, burst, now)
  if gap == 0 then return math.huge, now end
  local whole = math.max(tonumber(redis.call('HGET', paced, name)) or 0, now)
  -- Not (now + burst * gap - whole) / gap: what a time of today cannot hold would be lost.
  return math.max(math.floor(burst - (whole - now) / gap), 0), whole
end

-- A worker that claimed something will claim again: nobody need be woken meanwhile.
local function awake(busy, me, for_ms, found)
  if found then
    redis.call('SET', busy, me, 'PX', for_ms)
  elseif redis.call('GET', busy) == me then
    redis.call('DEL', busy)
  end
end
