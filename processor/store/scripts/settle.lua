-- Settles claims: each has ended, or is due again later. Pauses lanes; never ends a pause earlier.
-- KEYS  paused:B; then those that ARGV[1] names by index
-- ARGV  msgpack {keep (records of deliveries, s), most (ids of a day), lanes: [LANE], targets:
--       [TARGET], paused: [{lane, at (ms)}], settled (how many), fields: SETTLEMENTs}; then the
--       payloads and records
-- Returns  per settled claim 1, 0 (not this worker's any more), or what is wrong with a key's type
-- An item that is not a delivery, and was put again while it was held, stays; a poll that was asked
-- for meanwhile is not put off. Safe twice: an end counts once, even if reported late; with a token
-- only its holder settles.
-- Uses: prove, args, time, command_buffer, waiting, lane_args, lanes, ordering, event_bodies
-- Uses: settlements, records, asked_polls
prove_each([[TIME ZSCORE ZREM HDEL HGET HSET DEL XADD EXPIRE ZADD ZCOUNT ZRANGE HEXISTS SCARD
  UNLINK RENAME SADD EXISTS RPUSH HMGET HSTRLEN]])
local lanes, now, results = open_lanes(args.lanes), now_ms(), {}
local left = {} -- lanes by order that was left

local settled = list(function() return read_settlement(lanes, args.targets) end, args.settled)

local function is_ours(s, lane)
  return tonumber(redis.call('ZSCORE', lane.claimed, s.item)) == s.token
end
local function ended(s)
  local lane = s.lane
  if s.token and not is_ours(s, lane) then return 0 end
  lane.changed = true
  buffer('ZREM', lane.claimed, s.item)
  if not s.event and redis.call('ZSCORE', lane.due, s.item) then return 0 end
  buffer('ZREM', lane.due, s.item)
  buffer('ZREM', lane.retries, s.item)
  note_size(lane, s.item, 0)
  if redis.call('HDEL', lane.items, s.item) == 0 then return 0 end
  if s.order and leave_order(lane, KEYS[s.order], s.item) then left[KEYS[s.order]] = lane end
  if s.event then release_body(KEYS[s.event]) end
  if s.target then note_end(s.target, s.record, s.id) end
  return 1
end

local function postponed(s)
  local lane = s.lane
  if not is_ours(s, lane) then return 0 end
  buffer('ZREM', lane.claimed, s.item)
  local at = s.at > 0 and s.at or now
  if s.may_be_skipped then at = mark_skippable(KEYS[s.order], s.item, s.sequence, at, now) end
  if puts_off(lane, s.item, at, now) then lane.changed = true; return 1 end
  put(lane, s.item, at, ARGV[s.payload], s.failed and lane.retries)
  return 1
end

for n, s in ipairs(settled) do
  results[n] = next(wrong_types) and wrong_type_of_settlement(s) or s.at and postponed(s)
end
flush() -- both may be settled of an item that was claimed twice: its end is written last
for n, s in ipairs(settled) do results[n] = results[n] or ended(s) end
for order, lane in pairs(left) do start_next(lane, order, now) end
write_ends(args.targets, args.keep, args.most)
for _, p in ipairs(args.paused) do
  local lane = lanes[p.lane]
  lane.changed = not lane.wrong
  local until_now = tonumber(redis.call('HGET', KEYS[1], lane.name)) or 0
  redis.call('HSET', KEYS[1], lane.name, math.max(until_now, p.at))
end
finish(lanes, now)
return results
