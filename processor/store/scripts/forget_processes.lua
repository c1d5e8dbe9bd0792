-- Removes marks of processes that check no more, each if it still is the one that was read.
-- KEYS  rb:processes
-- ARGV  per process its name, and the mark that was read
-- Returns  1
-- Invariant: the mark of a process that has come back in between stays.
-- Safe twice: the second time they are gone.
-- Uses: prove
prove('HGET HDEL')
for n = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[n]) == ARGV[n + 1] then
    redis.call('HDEL', KEYS[1], ARGV[n])
  end
end
return 1
