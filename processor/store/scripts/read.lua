-- Reads jobs, or what stands in their place.
-- KEYS  job:… of each
-- Returns  per key: v, doc, to (an alias of that id), gone (deleted), each false if absent
local found = {}
for i, key in ipairs(KEYS) do
  found[i] = redis.call('HMGET', key, 'v', 'doc', 'to', 'gone')
end
return found
