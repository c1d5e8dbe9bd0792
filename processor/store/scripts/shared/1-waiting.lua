-- How many accepted updates wait, and their bytes, by source: for the reserve of memory. Only lanes
-- of ingest have `waiting`, the key of the hash; deadlines are among their items, but do not count.
-- Nor does what jobs tell their groups: it needs nothing more.

-- Notes in `lane.sizes` that an item has `size` bytes from now on (0: the item is gone), and that
-- the record of its job has `record` bytes.
local function note_size(lane, item, size, record)
  if not lane.waiting or lane.name == '?groups' or item:find('^deadline:.*/') then return end
  lane.sizes = lane.sizes or { updates = 0, size = 0, records = 0, of = {} }
  local sizes = lane.sizes
  local before = sizes.of[item] or redis.call('HSTRLEN', lane.items, item)
  sizes.updates = sizes.updates + (size > 0 and 1 or 0) - (before > 0 and 1 or 0)
  sizes.size, sizes.records = sizes.size + size - before, sizes.records + (record or 0)
  sizes.of[item] = size
end

-- Writes what was noted of a lane. Each update that goes takes its share of the records' bytes.
local function write_sizes(lane)
  local sizes = lane.sizes
  if not sizes then return end
  local counters = { 'updates:' .. lane.name, 'size:' .. lane.name, 'records:' .. lane.name }
  local found = redis.call('HMGET', lane.waiting, unpack(counters))
  local before, size = tonumber(found[1]) or 0, tonumber(found[2]) or 0
  local records = tonumber(found[3]) or 0
  local updates = before + sizes.updates
  if updates < before then records = math.floor(records * updates / before) end
  if updates <= 0 then
    redis.call('HDEL', lane.waiting, unpack(counters))
  else
    size, records = math.max(size + sizes.size, 0), math.max(records + sizes.records, 0)
    redis.call('HSET', lane.waiting, counters[1], updates, counters[2], size, counters[3], records)
  end
end
