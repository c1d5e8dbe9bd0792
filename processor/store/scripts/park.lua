-- Parks a bucket: nothing is taken from it until a time. Never ends a pause earlier.
-- KEYS  bucket
-- ARGV  until when (ms)
-- Returns  until when it is parked (ms)
-- Safe twice: it is parked already.
-- Uses: prove, time, buckets
prove('TIME HMGET HSET PEXPIRE')
local now = now_ms()
local full, parked = read_bucket(KEYS[1], now)
parked = math.max(parked, tonumber(ARGV[1]))
write_bucket(KEYS[1], full, parked, now)
return parked
