-- Draws the version of the subscriptions: schema 1 had a counter, schema 2 has a random word.
-- KEYS  subs:version
-- ARGV  the word
-- Returns  1, or 0 if there is no counter
-- Safe twice: the second time there is no counter any more.
-- Uses: prove
prove('GET SET')
if not (redis.call('GET', KEYS[1]) or ''):match('^%d+$') then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
