-- Brings the next poll of a job forward.
-- Uses: command_buffer

-- Moves a poll to `at`, but not sooner than `floor` after the poll before, and then `ahead` of that
-- (all ms). Never puts it off; leaves one that somebody asked for: its payload is not the interval
-- (s) that it was planned with. Returns how many polls moved.
local function bring_forward(lane, item, at, floor, ahead)
  local due = tonumber(redis.call('ZSCORE', lane.due, item))
  local interval = (redis.call('HGET', lane.items, item) or ''):match('^-?%d+%.%d+$')
  if not due or not interval then return 0 end
  local planned_at = due - interval * 1000
  at = math.max(at, planned_at + floor) - ahead
  if at >= due then return 0 end
  buffer('ZADD', lane.due, at, item)
  buffer('HSET', lane.items, item, string.format('%.3f', (at - planned_at) / 1000))
  lane.changed = true
  return 1
end
