-- Held updates: pushes about a job that its source tracks only once it is registered. Each waits in
-- ingest, due when its time is up, and is in held:S/ID in the order of arrival. The job's name is
-- `held-UID`, so that the commit of its record releases them. `held:S` in `waiting` counts them.

local function is_held(name)
  return name:sub(1, 5) == 'held-'
end

local function count_held(lane, by)
  local counter = 'held:' .. lane.name
  local count = (tonumber(redis.call('HGET', lane.waiting, counter)) or 0) + by
  if count > 0 then redis.call('HSET', lane.waiting, counter, count) end
  if count <= 0 then redis.call('HDEL', lane.waiting, counter) end
end

-- Makes what is held of a job due, by the times of its arrival: the job is registered, or its name
-- turned out to be another one's.
local function release_held(lane, held)
  local found = redis.call('ZRANGE', held, 0, -1, 'WITHSCORES')
  if not found[1] then return end
  for n = 1, #found, 2 do redis.call('ZADD', lane.due, 'XX', found[n + 1], found[n]) end
  redis.call('DEL', held)
  count_held(lane, -#found / 2)
  lane.changed = true
end
