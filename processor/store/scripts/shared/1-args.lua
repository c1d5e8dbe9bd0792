-- The arguments of a script: a table in ARGV[1]. Its records are in `fields`, field after field.

local args = cmsgpack.unpack(ARGV[1])
local fields, place = args.fields, 0 -- all that was read is up to this place

-- The next field.
local function field()
  place = place + 1
  return fields[place]
end

-- The place before so many fields, which count as read.
local function take(count)
  place = place + count
  return place - count
end

-- Reads so many records (nil: their number is the next field) with a function.
local function list(read, count)
  local found = {}
  for n = 1, count or field() do found[n] = read() end
  return found
end
