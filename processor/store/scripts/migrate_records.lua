-- Renames fields in the records of deliveries that ended: `why` is `reason`, and `turn` is `order`,
-- in schema 3. An entry of a stream cannot be changed, so the stream is written again, with the
-- same ids and the same time to live.
-- KEYS  per stream: delivered:… or dead:…, and the key that the new stream is written to first
-- Returns  how many streams were written again
-- A stream that has another type is left as it is. Safe twice: so is what has its new names.
-- Uses: prove
prove_each('XRANGE DEL XADD PTTL PEXPIRE RENAME')

-- The record with the new names. It begins with its state and the reason; text in a record cannot
-- hold the other pattern, since its quotes are escaped there.
local function renamed(record)
  local text = record:gsub('^({"state":"%l+",)"why":', '%1"reason":')
  return (text:gsub('"turn":{"job":', '"order":{"job":'))
end

local count = 0
for n = 1, #KEYS, 2 do
  local stream, fresh, changed = KEYS[n], KEYS[n + 1], false
  redis.call('DEL', fresh)
  for _, entry in ipairs(wrong_types[stream] and {} or redis.call('XRANGE', stream, '-', '+')) do
    local record = renamed(entry[2][2])
    changed = changed or record ~= entry[2][2]
    redis.call('XADD', fresh, entry[1], 'delivery', record)
  end
  if changed then
    local left = redis.call('PTTL', stream)
    redis.call('RENAME', fresh, stream)
    if left > 0 then redis.call('PEXPIRE', stream, left) end
    count = count + 1
  else
    redis.call('DEL', fresh)
  end
end
return count
