-- Buckets: what is left of the budget of a credential (its rate limit), and until when nothing is
-- sent with it.

-- When the whole budget is available again, and the end of the pause (ms; before now: none).
-- Both move with Redis' clock, should that have been set back since they were written.
local function read_bucket(key, now)
  local row = redis.call('HMGET', key, 'full', 'parked', 'at')
  local back = math.max((tonumber(row[3]) or 0) - now, 0)
  return math.max((tonumber(row[1]) or 0) - back, now), (tonumber(row[2]) or 0) - back
end

local function write_bucket(key, full, parked, now)
  redis.call('HSET', key, 'full', full, 'parked', parked, 'at', now)
  redis.call('PEXPIRE', key, math.ceil(math.max(full, parked) - now) + 1000)
end
