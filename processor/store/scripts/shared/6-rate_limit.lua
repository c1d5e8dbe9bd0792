-- The rate limit of a lane: one item every `gap` ms, of which `burst` may start at once.

-- How many items may start now, and when the whole burst is available again (ms). A gap of 0 is no
-- limit. A time that was stored under a lower rate would hold a higher one back for as long: at
-- most the whole burst is missing.
local function budget(rate_limit, name, gap, burst, now)
  if gap == 0 then return math.huge, now end
  local whole = math.max(tonumber(redis.call('HGET', rate_limit, name)) or 0, now)
  if whole > now + burst * gap then
    whole = now + burst * gap
    redis.call('HSET', rate_limit, name, whole)
  end
  -- Not (now + burst * gap - whole) / gap: a double that holds a time of today would round that.
  return math.max(math.floor(burst - (whole - now) / gap), 0), whole
end
