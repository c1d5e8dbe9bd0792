-- Claims what can start now: of each due lane a fair share, within its capacity and budget.
-- KEYS  lanes:B, items:B, paused:B, rate_limit:B, busy:B; per lane due, retries and claimed :B:L
-- ARGV  limit, lease (ms), how many lanes to check, who claims, how long the claimer then counts as
--       busy (ms), bytes of payloads after which no more is claimed, how many due lanes to skip,
--       until when it may claim (ms; 0: always); then per lane: name, capacity, budget (ms per
--       item, 0: none), burst (items at once), the claimer's share of the capacity
-- Returns  due lanes that were not passed; per item: lane, item, payload, token (end of the lease,
--          ms), since when it was due (ms; 0: unknown); what is wrong with the key types of
--          lanes, which were skipped; how many due lanes to skip in a next call, which checks
--          others (nil: there are none); for a claim that was sent ahead, and found one update
--          alone, what is stored under the name of its job (nil: not read)
-- A lane that holds the claimer's share stays due: another claimer may have a larger share.
-- Safe twice: the leases of the first claim run out.
-- Uses: prove, key_types, time, claiming, update_record
prove('TIME ZRANGE HMGET ZADD ZREM HGET HDEL HSET ZCARD SET GET DEL', 5)
local now, ends = now_ms(), tonumber(ARGV[8])
if ends > 0 and now > ends then return { {}, {}, {}, false, false } end -- nobody waits any more
local room = { limit = tonumber(ARGV[1]), lease = tonumber(ARGV[2]), bytes = tonumber(ARGV[6]) }

local passed = {} -- lanes by name
for n = 1, (#KEYS - 5) / 3 do
  local k, a = 3 + 3 * n, 4 + 5 * n -- first index of the lane in KEYS, and in ARGV
  passed[ARGV[a]] = {
    name = ARGV[a], lanes = KEYS[1], items = KEYS[2], due = KEYS[k], retries = KEYS[k + 1],
    claimed = KEYS[k + 2], capacity = tonumber(ARGV[a + 1]), gap = tonumber(ARGV[a + 2]),
    burst = tonumber(ARGV[a + 3]), share = tonumber(ARGV[a + 4]),
  }
end
local due, unlisted, wrong = {}, {}, {}
local names = due_members(KEYS[1], now, ARGV[3], ARGV[7])
for _, name in ipairs(names) do
  local lane = passed[name]
  local reason = lane
    and (wrong_type(lane.due) or wrong_type(lane.retries) or wrong_type(lane.claimed))
  if not lane then
    unlisted[#unlisted + 1] = name
  elseif reason then
    wrong[#wrong + 1] = reason
  else
    due[#due + 1] = lane
  end
end
local claimed = claim(due, room, KEYS[3], KEYS[4], now)
-- A worker that claimed something will claim again: until then no other one need be nudged.
if #claimed > 0 then
  redis.call('SET', KEYS[5], ARGV[4], 'PX', ARGV[5])
elseif redis.call('GET', KEYS[5]) == ARGV[4] then
  redis.call('DEL', KEYS[5])
end
local skip = ARGV[7] + #wrong
for _, lane in ipairs(due) do
  if lane.at and lane.at <= now then skip = skip + 1 end
end
if unlisted[1] then skip = tonumber(ARGV[7]) elseif #names < tonumber(ARGV[3]) then skip = false end
local record = ends > 0 and #claimed == 5 and record_of(claimed[3], KEYS[1])
return { unlisted, claimed, wrong, skip, record }
