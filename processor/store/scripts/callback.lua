-- Writes a callback target, to live as long as the longest of its jobs.
-- KEYS  callback:…
-- ARGV  the target, when its job ends (ms)
-- Returns  1
-- Safe twice: what is there says the same, but for the key that it is sealed with; it never ends
-- sooner than before.
prove('SET PEXPIREAT')
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PXAT', ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[1], 'XX', 'KEEPTTL')
  redis.call('PEXPIREAT', KEYS[1], ARGV[2], 'GT')
end
return 1
