-- Nudges the backlogs that have due work: at once where no worker is awake; else if the work has
-- waited so long that another worker must help.
-- KEYS  per backlog: lanes:B, nudge:B, busy:B
-- ARGV  how long work may wait for a worker that is awake (ms)
-- Returns  ms until the next work is due, or -1 if none waits
-- Skips a backlog one of whose keys has another type, and raises an error about it at the end.
-- Safe twice: a backlog has at most one nudge.
-- Uses: prove, key_types, time, nudge
may('TIME ZRANGE EXISTS RPUSH TYPE')
local now, next_at, wrong = now_ms(), nil, nil
for n = 1, #KEYS, 3 do
  local lanes, nudges, busy = KEYS[n], KEYS[n + 1], KEYS[n + 2]
  local reason = wrong_type(lanes) or wrong_type(nudges) or wrong_type(busy)
  local at = not reason and first_time(lanes)
  wrong = wrong or reason
  if at and at <= now - ARGV[1] then
    nudge(nudges, nudges)
  elseif at and at <= now then
    nudge(nudges, busy)
  elseif at and (not next_at or at < next_at) then
    next_at = at
  end
end
if wrong then error({ err = wrong }) end
return next_at and next_at - now or -1
