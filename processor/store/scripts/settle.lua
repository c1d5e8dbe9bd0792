-- Settles claims: each has ended, or is due again later; lanes may be parked, for longer only.
-- KEYS  parked:B; then all that ARGV[1] names by place
-- ARGV  msgpack {keep (of ended deliveries, in s), most (events in the log), lanes: [LANE],
--       settled: [{lane, item, token?, at? (0: now), payload?, failed?, may_be_skipped?, order?,
--                  sequence?, event?, log?, length?, record?, today?, yesterday?, id?}],
--       parked: [[place in lanes, until (ms)]]}; then the payloads and records.
--       Without `at` the claim has ended; event, log, its length and record are a delivery's; today
--       and yesterday (delivered_ids:SUB:DAY) and the event's id are of one that needs no replay.
--       `failed`: the attempt did; `may_be_skipped`: it is due at once, if later ones wait
-- Returns  per settled claim 1, 0 (no longer this worker's), or what is wrong with a key's type
-- What is no delivery, and was put again while it was held, stays: its end was another's.
-- Safe twice: an end counts once, even reported late; what names the token takes it.
prove_each([[TIME ZSCORE ZREM HDEL HGET HSET DEL XADD EXPIRE ZADD ZCOUNT ZRANGE HEXISTS SCARD
  UNLINK RENAME SADD EXISTS RPUSH HMGET HSTRLEN]])
local told = cmsgpack.unpack(ARGV[1])
local lanes, now, results, logs, arrived, over = keys_of(told.lanes), now_ms(), {}, {}, {}, {}

local function ours(s, lane) return tonumber(redis.call('ZSCORE', lane.held, s.item)) == s.token end

local function ended(s, lane)
  if s.token and not ours(s, lane) then return 0 end
  touched[lane] = true
  buffer('ZREM', lane.held, s.item)
  if not s.event and redis.call('ZSCORE', lane.due, s.item) then return 0 end
  for _, key in ipairs({ lane.due, lane.again }) do buffer('ZREM', key, s.item) end
  weigh(lane, s.item, 0)
  if redis.call('HDEL', lane.items, s.item) == 0 then return 0 end
  if s.order and leave_order(lane, KEYS[s.order], s.item) then over[KEYS[s.order]] = lane end
  if s.event then release_body(KEYS[s.event]) end
  if s.record then
    redis.call('XADD', KEYS[s.log], 'MAXLEN', '~', s.length, '*', 'delivery', ARGV[s.record])
    logs[s.log] = true
  end
  local ids = s.today and (arrived[s.today] or { yesterday = s.yesterday })
  if ids then arrived[s.today] = ids; ids[#ids + 1] = s.id end
  return 1
end

local function put_off(s, lane)
  if not ours(s, lane) then return 0 end
  buffer('ZREM', lane.held, s.item)
  local at = s.at > 0 and s.at or now
  if s.may_be_skipped then at = let_others_pass(KEYS[s.order], s.item, s.sequence, at, now) end
  put(lane, s.item, at, ARGV[s.payload], s.failed and lane.again)
  return 1
end

for i, s in ipairs(told.settled) do
  results[i] = lanes[s.lane].misfit or misfit_at({ s.order, s.event, s.log, s.today, s.yesterday })
    or s.at and put_off(s, lanes[s.lane])
end
flush() -- of one item that was claimed twice both may be told: its end is the last word
for i, s in ipairs(told.settled) do results[i] = results[i] or ended(s, lanes[s.lane]) end
for order, lane in pairs(over) do start_next(lane, order, now) end
for log in pairs(logs) do redis.call('EXPIRE', KEYS[log], told.keep) end
for set, ids in pairs(arrived) do note_delivered(KEYS[set], KEYS[ids.yesterday], ids, told.most) end
for _, p in ipairs(told.parked) do
  local lane = lanes[p[1]]
  touched[lane] = not lane.misfit or nil
  local was = tonumber(redis.call('HGET', KEYS[1], lane.name)) or 0
  redis.call('HSET', KEYS[1], lane.name, math.max(was, p[2]))
end
finish(now)
return results
