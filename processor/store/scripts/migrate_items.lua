-- Renames a field in the deliveries that wait, a page at a time: `turn` is `order` in schema 3.
-- KEYS  items:deliver
-- ARGV  the cursor of HSCAN, items a page
-- Returns  the next cursor; '0' after the last page
-- Safe twice: what has its new name is left as it is.
-- Uses: prove
prove('HSCAN HSET')
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local items = page[2]
for n = 1, #items, 2 do
  local renamed, count = items[n + 1]:gsub('"turn":{"job":', '"order":{"job":')
  if count > 0 then redis.call('HSET', KEYS[1], items[n], renamed) end
end
return page[1]
