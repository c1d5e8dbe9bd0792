-- Reads what deliveries need: their targets, and the bodies of their events.
-- KEYS  subs; then callback:… of each callback target; then event:… of each delivery
-- ARGV  how many callback targets; then the ids of subscriptions
-- Returns  [targets: the callback targets, then the subscriptions], [bodies]; each is false if it
--          does not exist, or what is wrong with the type of its key as {what}
-- Writes nothing. Safe twice.
-- Uses: prove, key_types
prove('GET HGET', 1)
local callbacks, targets, bodies = tonumber(ARGV[1]), {}, {}
for n = 1, callbacks do
  local wrong = wrong_type(KEYS[1 + n])
  targets[n] = wrong and { wrong } or redis.call('GET', KEYS[1 + n])
end
for n = 2, #ARGV do targets[#targets + 1] = redis.call('HGET', KEYS[1], ARGV[n]) end
for n = callbacks + 2, #KEYS do
  local wrong = wrong_type(KEYS[n])
  bodies[#bodies + 1] = wrong and { wrong } or redis.call('HGET', KEYS[n], 'body')
end
return { targets, bodies }
