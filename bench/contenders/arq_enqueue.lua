-- Take one push and queue its arq job, together or not at all, in one round trip.
-- KEYS: 1 the push's dedupe key · 2 arq's job key · 3 the queue
-- ARGV: 1 dedupe lifetime (s) · 2 arq job's lifetime (ms) · 3 the serialised arq job · 4 its id · 5 due (ms)
-- Returns 1 if it was queued, 0 if the push was seen before.
if not redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1]) then
  return 0
end
redis.call('PSETEX', KEYS[2], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[3], ARGV[5], ARGV[4])
return 1
