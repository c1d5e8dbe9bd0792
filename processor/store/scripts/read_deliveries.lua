-- Reads what deliveries need: their targets, and the bodies of their events.
-- KEYS  subs; then callback:… of each callback target; then event:… of each delivery
-- ARGV  how many callback targets; then the ids of subscriptions
-- Returns  [targets: the callback ones, then the subscriptions], [bodies], each false if absent, or
--          what is wrong with the type of its key as {what}
prove('GET HGET', 1)
local callbacks, targets, bodies = tonumber(ARGV[1]), {}, {}
for i = 1, callbacks do
  local wrong = misfit(KEYS[1 + i])
  targets[i] = wrong and { wrong } or redis.call('GET', KEYS[1 + i])
end
for i = 2, #ARGV do targets[#targets + 1] = redis.call('HGET', KEYS[1], ARGV[i]) end
for i = callbacks + 2, #KEYS do
  local wrong = misfit(KEYS[i])
  bodies[#bodies + 1] = wrong and { wrong } or redis.call('HGET', KEYS[i], 'body')
end
return { targets, bodies }
