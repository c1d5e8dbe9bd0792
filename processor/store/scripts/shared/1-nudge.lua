-- Wakes a worker, unless one is awake (`busy` exists) or was nudged already. Both keys were proved.
-- Uses: key_types

local function nudge(key, busy)
  if not (missing[key] and missing[busy]) then return end
  redis.call('RPUSH', key, '1')
  missing[key] = nil
end
