-- Acquires, or renews, the lease for a step of the migration.
-- KEYS  rb:meta
-- ARGV  the schema that the step starts from, who asks, for how long (ms)
-- Returns  `ours`, `another` (another process has it) or `done` (the schema is another by now)
-- Invariant: one process at a time, unless its lease ends while it sleeps; so each step must be
-- safe to run twice, even at the same time.
-- Safe twice: the lease only lasts longer.
-- Uses: prove, time
prove('TIME HMGET HSET')
local now = now_ms()
local schema, migrating = unpack(redis.call('HMGET', KEYS[1], 'schema', 'migrating'))
if schema ~= ARGV[1] then return 'done' end
local holder, ends = (migrating or ''):match('(%S+) (%d+)')
if holder and holder ~= ARGV[2] and tonumber(ends) > now then return 'another' end
redis.call('HSET', KEYS[1], 'migrating', string.format('%s %.0f', ARGV[2], now + ARGV[3]))
return 'ours'
