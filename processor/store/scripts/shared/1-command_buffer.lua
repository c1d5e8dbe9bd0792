-- Redis' time in ms, sorted sets by time, and commands that are buffered before they are sent.

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function first(key)
  return tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
end

local function until_now(key, now, most)
  return redis.call('ZRANGE', key, '-inf', now, 'BYSCORE', 'LIMIT', 0, most)
end

-- Arguments to the same command on the same key are buffered and sent as one: a call costs
-- more than what it carries. Removals go first, so that what is dropped can be put anew.
local buffered = { ZREM = {}, HDEL = {}, ZADD = {}, HSET = {} }
local ORDER = { 'ZREM', 'HDEL', 'ZADD', 'HSET' }

local function buffer(command, key, a, b)
  local args = buffered[command][key]
  if not args then args = {}; buffered[command][key] = args end
  args[#args + 1] = a
  if b then args[#args + 1] = b end
end

local function flush()
  for _, command in ipairs(ORDER) do
    for key, args in pairs(buffered[command]) do
      for from = 1, #args, 1000 do
        redis.call(command, key, unpack(args, from, math.min(from + 999, #args)))
      end
    end
    buffered[command] = {}
  end
end

-- Wakes a worker, unless one is awake (`busy`) or about to be.
local function nudge(key, busy)
  if redis.call('EXISTS', key, busy) == 0 then redis.call('RPUSH', key, '1') end
end
