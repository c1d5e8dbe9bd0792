-- Accepts pushes: each is marked as seen and queued for ingest, or was seen before.
-- KEYS  lanes:ingest, items:ingest, nudge:ingest; then per push: seen:…, due:ingest:L
-- ARGV  how long marks live (ms); then per push: lane, item, payload
-- Returns  per push 1 (accepted) or 0 (a duplicate)
-- Safe twice: the second time all are duplicates, and all are queued.
local now = now_ms()
local taken = {}
for i = 1, (#KEYS - 3) / 2 do
  local seen, due = KEYS[2 + 2 * i], KEYS[3 + 2 * i]
  local lane, item, payload = ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1]
  if redis.call('SET', seen, '1', 'NX', 'PX', ARGV[1]) then
    put(KEYS[1], KEYS[2], due, lane, item, now, payload)
    taken[i] = 1
  else
    taken[i] = 0
  end
end
nudge(KEYS[3])
return taken
