-- Accepted updates that wait, counted by source for the reserve of memory. Only lanes of ingest
-- name the hash, `waiting`; deadlines lie among their items, and are not counted.

local weighed = {} -- by lane: what changes, and the bytes of items by now

-- Notes that an item has so many bytes from now on (0: it is no more), and those of its record.
local function weigh(lane, item, size, record)
  if not lane.waiting or item:find('^deadline:.*/') then return end
  local w = weighed[lane] or { updates = 0, size = 0, records = 0, of = {} }
  local was = w.of[item] or redis.call('HSTRLEN', lane.items, item)
  w.updates = w.updates + (size > 0 and 1 or 0) - (was > 0 and 1 or 0)
  w.size, w.records = w.size + size - was, w.records + (record or 0)
  w.of[item], weighed[lane] = size, w
end

-- Writes what was noted. Of the records' bytes each update that goes takes its part with it.
local function note_weights()
  for lane, w in pairs(weighed) do
    local fields = { 'updates:' .. lane.name, 'size:' .. lane.name, 'records:' .. lane.name }
    local was = redis.call('HMGET', lane.waiting, unpack(fields))
    local before, size = tonumber(was[1]) or 0, tonumber(was[2]) or 0
    local records = tonumber(was[3]) or 0
    local updates = before + w.updates
    if updates < before then records = math.floor(records * updates / before) end
    if updates <= 0 then
      redis.call('HDEL', lane.waiting, unpack(fields))
    else
      size, records = math.max(size + w.size, 0), math.max(records + w.records, 0)
      redis.call('HSET', lane.waiting, fields[1], updates, fields[2], size, fields[3], records)
    end
  end
end
