-- The history of a job: lines of `TIME COUNT TEXT`, at most 200.

-- Adds a line; if the last one is the same ignored update, only its time and its count change.
-- Returns whether it is the first line, which decides when the history expires.
local function add_history(key, ends, line, ignored)
  if ignored then
    local at, text = line:match('^(%d+) 1 (.*)$')
    local count, last = (redis.call('LINDEX', key, -1) or ''):match('^%d+ (%d+) (.*)$')
    if last == text then
      redis.call('LSET', key, -1, at .. ' ' .. (count + 1) .. ' ' .. text)
      return false
    end
  end
  local length = redis.call('RPUSH', key, line)
  if length == 1 then redis.call('PEXPIREAT', key, ends) end
  if length > 200 then redis.call('LTRIM', key, -200, -1) end
  return length == 1
end
