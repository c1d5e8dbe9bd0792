-- Collects commands, and sends those with the same name and key as one: a call costs more than its
-- arguments. Removals are sent first, so that what is removed can be added again.

local buffered = { ZREM = {}, HDEL = {}, ZADD = {}, HSET = {} } -- arguments by command and key
local ORDER = { 'ZREM', 'HDEL', 'ZADD', 'HSET' }

local function buffer(command, key, first, second)
  local arguments = buffered[command][key]
  if not arguments then arguments = {}; buffered[command][key] = arguments end
  arguments[#arguments + 1] = first
  if second then arguments[#arguments + 1] = second end
end

-- Sends what was collected, at most 1,000 arguments at once.
local function flush()
  for _, command in ipairs(ORDER) do
    for key, arguments in pairs(buffered[command]) do
      for from = 1, #arguments, 1000 do
        redis.call(command, key, unpack(arguments, from, math.min(from + 999, #arguments)))
      end
    end
    buffered[command] = {}
  end
end
