-- Names of jobs. Under job:S/NAME stands a record, `to ID` (an alias), `gone` (deleted), or
-- `new-UID`: pushes of the job wait, and the record that they make is to have this uid.

local STANDS = 520 -- bytes that show what stands there: `to ` and an id of up to 512

-- Reserves a NAMING {uid, id, to? (the id, if names of another shard have shown it),
-- names: [[key, name]]}, the id first. The first name that stands decides which job they all name;
-- if none does, the job is new. What stands is never replaced.
-- Gives the job's id, or '' when the name that decides is a deleted job's, or a name's key has
-- another type: then nothing is reserved, and the update fails alone when its turn comes.
local function reserve(naming, lasts)
  local uid, id, to, names = unpack(naming, 1, 4)
  local free = {}
  for _, n in ipairs(names) do
    if misfits[KEYS[n[1]]] then return '' end
    local stands = redis.call('GETRANGE', KEYS[n[1]], 0, STANDS)
    if stands == '' then
      free[#free + 1] = n
    elseif not to then
      to = stands == 'gone' and '' or stands:match('^to (.*)') or n[2]
    end
  end
  to = to or id
  if to == '' then return to end
  for _, n in ipairs(free) do
    local value = n[2] == to and 'new-' .. uid or 'to ' .. to
    redis.call('SET', KEYS[n[1]], value, 'PX', lasts)
  end
  return to
end

-- The same for a job that is known by one name alone, in one command.
local function reserve_one(naming, lasts)
  redis.call('SET', KEYS[naming[4][1][1]], 'new-' .. naming[1], 'NX', 'PX', lasts)
end
