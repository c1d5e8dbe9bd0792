-- Holds pushes about jobs that nobody has registered yet.
-- Uses: lanes, names, held

-- Holds a PUSH {seen, item, payload, held, names: its job's, the id first; indexes in KEYS, of the
-- payload in ARGV; uid: the record's, if the name has none yet} within the `limits` {keep (of the
-- mark), hold, reserve (how long the name lasts; all in ms), most (updates of a source)}.
-- Returns  2 (held), 3 (the source has as many as it may), 0 (seen before), `to ID` (the name is
--          that job's), or nil if the job is known
local function hold_push(push, lane, limits, now)
  local name, held = KEYS[push.names[1]], KEYS[push.held]
  local found = redis.call('GETRANGE', name, 0, SHOWS)
  local is_alias = found:find('^to ') ~= nil
  if found ~= '' and not is_alias and not is_held(found) then return end
  if redis.call('EXISTS', KEYS[push.seen]) == 1 then return 0 end
  if is_alias then return found end
  local count = tonumber(redis.call('HGET', lane.waiting, 'held:' .. lane.name)) or 0
  if limits.most and count >= limits.most then return 3 end
  redis.call('SET', name, found ~= '' and found or 'held-' .. push.uid, 'PX', limits.reserve)
  redis.call('SET', KEYS[push.seen], '1', 'PX', limits.keep) -- its job may get another record
  local last = tonumber(redis.call('ZRANGE', held, -1, -1, 'WITHSCORES')[2]) or 0
  local arrived = math.max(now, last + 1 / 1024) -- ms: each later than the one before
  if redis.call('ZADD', held, arrived, push.item) == 1 then count_held(lane, 1) end
  put(lane, push.item, now + limits.hold, ARGV[push.payload])
  return 2
end
