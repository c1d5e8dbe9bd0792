-- Ends updates that were held and whose job nobody has registered in time. Their dedupe marks go
-- too, with the last one the name of the job: what is sent again is new.
-- KEYS  those that ARGV[1] names by index
-- ARGV  msgpack {lanes: [LANE], fields: a list of {lane (index in lanes), item, token, held, seen,
--       name}}; the last three are keys
-- Returns  per update 1 (ended), 0 (it is not held any more), 2 (the claim is lost), or what is
--          wrong with the type of one of its keys
-- Only what is in held:S/ID and claimed with this token ends. Safe twice: it is gone.
-- Uses: prove, args, time, lane_args, lanes, held
prove_each([[TIME ZSCORE ZREM DEL HDEL HGET HSET HMGET HSTRLEN ZADD ZRANGE EXISTS RPUSH
  GETRANGE]])
local lanes, now = open_lanes(args.lanes), now_ms()

local function end_one(lane, item, token, held, seen, name)
  if not redis.call('ZSCORE', held, item) then return 0 end
  if tonumber(redis.call('ZSCORE', lane.claimed, item)) ~= token then return 2 end
  redis.call('ZREM', held, item)
  count_held(lane, -1)
  redis.call('DEL', seen)
  local last = redis.call('EXISTS', held) == 0
  if last and is_held(redis.call('GETRANGE', name, 0, 5)) then redis.call('DEL', name) end
  drop(lane, item)
  return 1
end

local results = list(function()
  local p = take(6)
  local lane, held, seen, name = lanes[fields[p + 1]], fields[p + 4], fields[p + 5], fields[p + 6]
  return lane.wrong or wrong_type_at({ held, seen, name })
    or end_one(lane, fields[p + 2], fields[p + 3], KEYS[held], KEYS[seen], KEYS[name])
end)
finish(lanes, now)
return results
