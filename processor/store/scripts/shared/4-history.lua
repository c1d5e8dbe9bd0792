-- The history of a job: lines of `TIME COUNT TEXT`, at most 200.

-- Adds a line; if the last one is the same ignored update, only its time and its count change.
-- Returns whether it is the first line, which decides when the history expires.
local function add_history(key, ends, at, text, ignored)
  local count, last
  if ignored then
    count, last = (redis.call('LINDEX', key, -1) or ''):match('^%d+ (%d+) (.*)$')
  end
  if last == text then
    redis.call('LSET', key, -1, at .. ' ' .. (count + 1) .. ' ' .. text)
    return false
  end
  local length = redis.call('RPUSH', key, at .. ' 1 ' .. text)
  if length == 1 then redis.call('PEXPIREAT', key, ends) end
  if length > 200 then redis.call('LTRIM', key, -200, -1) end
  return length == 1
end
