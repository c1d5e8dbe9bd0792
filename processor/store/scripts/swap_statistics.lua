-- Replaces the statistics of sources, each if they still are what the caller read.
-- KEYS  rb:statistics
-- ARGV  ms to live; then of each source its name, what was read (empty: nothing), what to write
-- Returns  per source 1, or 0 if another process changed its statistics since then
-- Invariant: what another process counted in between is never overwritten.
-- Safe twice: the second time it is not what was read, and stays as it is.
-- Uses: prove
prove('HGET HSET PEXPIRE')
local results = {}
for n = 2, #ARGV, 3 do
  local unchanged = (redis.call('HGET', KEYS[1], ARGV[n]) or '') == ARGV[n + 1]
  if unchanged then redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 2]) end
  results[#results + 1] = unchanged and 1 or 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return results
