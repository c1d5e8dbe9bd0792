-- Nudges the backlogs that have work due: at once where no worker is awake, and where one is,
-- when the work has waited so long that it needs help.
-- KEYS  per backlog: lanes:B, nudge:B, busy:B
-- ARGV  how long work may wait for a worker that is awake (ms)
-- Returns  ms until the next work is due, or -1 when none waits
-- A backlog one of whose keys has another type is passed over, and named by an error at the end.
-- Safe twice: a backlog has at most one nudge.
may('TIME ZRANGE EXISTS RPUSH')
local now, soonest, wrong = now_ms(), nil, nil
for i = 1, #KEYS, 3 do
  local is = misfit(KEYS[i]) or misfit(KEYS[i + 1]) or misfit(KEYS[i + 2])
  local at = not is and first(KEYS[i])
  wrong = wrong or is
  if at and at <= now - ARGV[1] then
    nudge(KEYS[i + 1], KEYS[i + 1])
  elseif at and at <= now then
    nudge(KEYS[i + 1], KEYS[i + 2])
  elseif at and (not soonest or at < soonest) then
    soonest = at
  end
end
if wrong then error({ err = wrong }) end
return soonest and soonest - now or -1
