-- Proves what a script needs before its first write: the user may run each command, and each key
-- has its type or is absent. For Redis does not take back what was written before a command raised.

-- Raises unless the user may run all these commands.
local function may(commands)
  local one, two = KEYS[1], KEYS[2] or KEYS[1] -- a right may be for some keys only
  for command in commands:gmatch('%S+') do
    if not redis.acl_check_cmd(command, one, two) then
      error({ err = 'NOPERM this user has no permission to run ' .. command })
    end
  end
end

-- Raises unless the user may run these commands, and the keys (all, or so many) have their types.
local function prove(commands, count)
  may(commands)
  for place = 1, count or #KEYS do
    local wrong = misfit(KEYS[place])
    if wrong then error({ err = wrong }) end
  end
end

-- The same for scripts about many things of which each can fail alone: a key that is not shared
-- does not raise; what is wrong with it is noted here, by key.
local misfits = {}

local function prove_each(commands)
  may(commands)
  for _, key in ipairs(KEYS) do
    local wrong, shared = misfit(key)
    if shared then error({ err = wrong }) end
    misfits[key] = wrong
  end
end

-- What is wrong with one of these places in KEYS, some of which may be nil.
local function misfit_at(places)
  if not next(misfits) then return end
  for _, place in pairs(places) do
    if misfits[KEYS[place]] then return misfits[KEYS[place]] end
  end
end

-- What is wrong with a key of some puts or drops: of their lanes, or their turns.
local function misfit_of(lanes, puts)
  if not next(misfits) then return end
  for _, p in ipairs(puts) do
    local wrong = lanes[p[1]].misfit or misfits[KEYS[p[5]]]
    if wrong then return wrong end
  end
end
