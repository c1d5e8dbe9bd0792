-- Reads the records that several scripts get. An index of bytes is one in ARGV.
-- Uses: args

-- An ITEM: work for a lane (index in `lanes`), due at a time (0: now); perhaps one of an order
-- (index in KEYS), with its sequence.
local function read_item()
  local p = take(6)
  return {
    lane = fields[p + 1], item = fields[p + 2], at = fields[p + 3], payload = fields[p + 4],
    order = fields[p + 5], sequence = fields[p + 6],
  }
end

-- An EVENT: its key (index in KEYS; nil if it has no deliveries), id, type, body, whether it goes
-- into the log, and its deliveries.
local function read_event()
  local p = take(5)
  return {
    key = fields[p + 1], id = fields[p + 2], type = fields[p + 3], body = fields[p + 4],
    logged = fields[p + 5], items = list(read_item),
  }
end

-- A NAMING: uid, id, the id if names in another shard have shown it, and the names in this shard,
-- the id first.
local function read_name() return { key = field(), name = field() } end
local function read_naming()
  return { uid = field(), id = field(), to = field(), names = list(read_name) }
end
