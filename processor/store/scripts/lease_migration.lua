-- Takes, or renews, the right to bring a store from one schema to the next.
-- KEYS  rb:meta
-- ARGV  the schema that it is brought from, who asks, for how long (ms)
-- Returns  `ours`, `another` (somebody else has it) or `done` (the schema is another by now)
-- Invariant: one at a time, unless one that has it sleeps longer than it lasts; so each step of a
-- migration must be safe to run twice, at the same time too.
-- Safe twice: it only lasts longer.
prove('TIME HMGET HSET')
local now = now_ms()
local schema, held = unpack(redis.call('HMGET', KEYS[1], 'schema', 'migrating'))
if schema ~= ARGV[1] then return 'done' end
local who, ends = (held or ''):match('(%S+) (%d+)')
if who and who ~= ARGV[2] and tonumber(ends) > now then return 'another' end
redis.call('HSET', KEYS[1], 'migrating', string.format('%s %.0f', ARGV[2], now + ARGV[3]))
return 'ours'
