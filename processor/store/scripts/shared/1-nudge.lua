-- Wakes a worker, unless one is awake (`busy` exists) or was nudged already.

local function nudge(key, busy)
  if redis.call('EXISTS', key, busy) == 0 then redis.call('RPUSH', key, '1') end
end
