-- What is recorded: histories of jobs, bodies of events, what arrived.

-- Adds a line to a history; of the same ignored update only the time and the count move on.
local function add_history(key, ends, at, text, ignored)
  local count, last
  if ignored then
    count, last = (redis.call('LINDEX', key, -1) or ''):match('^%d+ (%d+) (.*)$')
  end
  if last == text then
    redis.call('LSET', key, -1, at .. ' ' .. (count + 1) .. ' ' .. text)
    return
  end
  local length = redis.call('RPUSH', key, at .. ' 1 ' .. text)
  if length == 1 then redis.call('PEXPIREAT', key, ends) end
  if length > 200 then redis.call('LTRIM', key, -200, -1) end
end

-- Keeps the body of an event while it has deliveries to make: one key, however many they are.
-- Its bytes stay the same while some delivery of it waits, whoever tells it again.
local function keep_body(key, body, deliveries)
  local n = tonumber(redis.call('HGET', key, 'n')) or 0
  if n > 0 then
    redis.call('HSET', key, 'n', n + deliveries)
  else
    redis.call('HSET', key, 'body', body, 'n', deliveries)
    redis.call('EXPIRE', key, 1209600)
  end
end

-- Notes that a delivery of an event has ended; the body goes with the last one.
local function release_body(key)
  local n = tonumber(redis.call('HGET', key, 'n')) or 0
  if n > 1 then redis.call('HSET', key, 'n', n - 1) else redis.call('DEL', key) end
end

-- Notes events that reached a subscription on a day. A day's set with `most` of them takes the
-- place of the one before: the log has none of those any more.
local function note_delivered(day, before, ids, most)
  if redis.call('SCARD', day) >= most then
    redis.call('UNLINK', before)
    redis.call('RENAME', day, before)
  end
  for from = 1, #ids, 1000 do
    redis.call('SADD', day, unpack(ids, from, math.min(from + 999, #ids)))
  end
  redis.call('EXPIRE', day, 691200)
end
