-- Writes a callback target, which lives as long as the longest of its jobs.
-- KEYS  callback:…
-- ARGV  the target, when its job expires (ms)
-- Returns  1
-- Safe twice: the content is the same, except for the key that encrypts its secret; the expiry is
-- never brought forward.
-- Uses: prove
prove('SET PEXPIREAT')
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PXAT', ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[1], 'XX', 'KEEPTTL')
  redis.call('PEXPIREAT', KEYS[1], ARGV[2], 'GT')
end
return 1
