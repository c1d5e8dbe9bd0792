-- What is recorded of jobs: their history, and their events.

-- Adds a line to a history; of the same ignored update only the time and the count move on.
local function remember(key, ends, at, text, ignored)
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
local function keep(key, body, deliveries)
  redis.call('HSETNX', key, 'body', body)
  if redis.call('HINCRBY', key, 'n', deliveries) == deliveries then
    redis.call('EXPIRE', key, 1209600)
  end
end

local function log_event(log, e)
  redis.call('XADD', log, '*', 'id', e.id, 'type', e.type, 'body', ARGV[e.body])
end
