-- Takes requests from buckets, in this order, as far as they have them.
-- KEYS  buckets
-- ARGV  per request: its bucket (index in KEYS), budget (ms per request, 0: none), burst (requests
--       at once), how many requests of the burst to leave to others
-- Returns  per request 0 (it may be sent now), or before when it may not (ms), or what is wrong
--          with the type of its bucket
-- Safe twice: what a lost answer took is not sent, and is lost to the budget.
-- Uses: prove, time, buckets
prove_each('TIME HMGET HSET PEXPIRE')
local ROUNDING = 0.01 -- ms, more than what a double that holds a time of today may round
local now, buckets, results = now_ms(), {}, {}

local function answer(bucket, gap, burst, left)
  if bucket.parked > now then return math.ceil(bucket.parked) end
  if gap == 0 then return 0 end
  local wait = bucket.full - now + (left + 1 - burst) * gap
  if wait > ROUNDING then return now + math.ceil(wait) end
  bucket.full, bucket.changed = bucket.full + gap, true
  return 0
end

for a = 1, #ARGV, 4 do
  local n = tonumber(ARGV[a])
  local wrong = wrong_type_at({ n })
  if not wrong and not buckets[n] then
    local full, parked = read_bucket(KEYS[n], now)
    buckets[n] = { full = full, parked = parked }
  end
  results[#results + 1] = wrong
    or answer(buckets[n], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]))
end
for n, bucket in pairs(buckets) do
  if bucket.changed then write_bucket(KEYS[n], bucket.full, bucket.parked, now) end
end
return results
