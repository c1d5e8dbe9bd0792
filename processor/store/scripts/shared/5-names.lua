-- Names of jobs. job:S/NAME is a record, `to ID` (an alias), `gone` (deleted), or `new-UID`: pushes
-- of the job wait, and the record that they make will have this uid; `held-UID`: they are held.
-- Uses: prove

local SHOWS = 520 -- bytes that show what a name is: `to ` and an id of up to 512

-- Reserves the names of a NAMING {uid, id, to? (the id, if names in another shard have shown it),
-- names: [{key, name}], the id first}. The first name that exists, other than as an alias of `id`,
-- shows which job they name; if none does, they name `id`, which gets `word` (`new-` or `held-`)
-- and the uid if it is one of them. A name that exists is never replaced.
-- Returns the id that `to` or a name has shown, false if none has, or '' if it is a deleted job's,
-- or a name's key has another type: then nothing is reserved, and the update fails alone when it is
-- ingested.
local function reserve(naming, lasts, word)
  local shown, free = naming.to, {}
  for _, n in ipairs(naming.names) do
    if wrong_types[KEYS[n.key]] then return '' end
    local found = redis.call('GETRANGE', KEYS[n.key], 0, SHOWS)
    if found == '' then
      free[#free + 1] = n
    elseif not shown and found ~= 'to ' .. naming.id then
      shown = found == 'gone' and '' or found:match('^to (.*)') or n.name
    end
  end
  if shown == '' then return '' end
  local to = shown or naming.id
  for _, n in ipairs(free) do
    local value = n.name == to and word .. naming.uid or 'to ' .. to
    redis.call('SET', KEYS[n.key], value, 'PX', lasts)
  end
  return shown or false
end

-- The same for a job that has one name, in one command.
local function reserve_one(naming, lasts)
  redis.call('SET', KEYS[naming.names[1].key], 'new-' .. naming.uid, 'NX', 'PX', lasts)
end
