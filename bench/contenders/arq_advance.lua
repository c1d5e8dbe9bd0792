-- Move one job by one push, with its history, in one round trip.
-- KEYS: 1 job hash · 2 history list
-- ARGV: 1 push id · 2 state · 3 its rank · 4 progress · 5 result · 6 now · 7 lifetime (s) · 8 history cap
-- Returns {previous state or "", sequence, created_at, started_at or ""}, or {} where the push
-- moves nothing. A push that arq runs again after a crash gets its first answer again.
local job = redis.call('HMGET', KEYS[1], 'rank', 'by', 'told', 'state', 'sequence', 'created_at', 'started_at')
if job[2] == ARGV[1] then
  return cjson.decode(job[3])
end
local rank, told = tonumber(ARGV[3]), {}
local moved = rank > tonumber(job[1] or '-1')
if moved then
  local created, started = job[6] or ARGV[6], job[7] or (rank == 1 and ARGV[6]) or ''
  told = {job[4] or '', tonumber(job[5] or '0') + 1, created, started}
  redis.call('HSET', KEYS[1], 'rank', rank, 'by', ARGV[1], 'told', cjson.encode(told), 'state', ARGV[2],
    'sequence', told[2], 'created_at', created, 'started_at', started, 'progress', ARGV[4], 'result', ARGV[5])
  redis.call('EXPIRE', KEYS[1], ARGV[7])
end
local entry = cjson.encode({push = ARGV[1], state = ARGV[2], at = ARGV[6], moved = moved})
redis.call('LPUSH', KEYS[2], entry)
redis.call('LTRIM', KEYS[2], 0, ARGV[8] - 1)
redis.call('EXPIRE', KEYS[2], ARGV[7])
return told
