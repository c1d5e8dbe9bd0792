-- Nudges the backlogs that have work due.
-- KEYS  per backlog: lanes:B, nudge:B
-- Returns  ms until the next work is due, or -1 when none waits
local now, soonest = now_ms(), nil
for i = 1, #KEYS, 2 do
  local at = first(KEYS[i])
  if at and at <= now then
    nudge(KEYS[i + 1])
  elseif at and (not soonest or at < soonest) then
    soonest = at
  end
end
return soonest and soonest - now or -1
