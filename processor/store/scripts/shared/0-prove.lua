-- Proves before a script's first write that it can make all of them: the user may run its commands,
-- and each key has its type or does not exist. Redis never undoes what a script has written.
-- Uses: key_types

-- Raises an error unless the user may run all these commands.
local function may(commands)
  local first, second = KEYS[1], KEYS[2] or KEYS[1] -- a right may be limited to some keys
  for command in commands:gmatch('%S+') do
    if not redis.acl_check_cmd(command, first, second) then
      error({ err = 'NOPERM this user has no permission to run ' .. command })
    end
  end
end

-- Raises an error unless the user may run these commands, and all keys (or the first `count`) have
-- their types; what that takes is among the commands.
local function prove(commands, count)
  may(commands .. ' TYPE')
  for index = 1, count or #KEYS do
    local wrong = wrong_type(KEYS[index])
    if wrong then error({ err = wrong }) end
  end
end

-- What is wrong with keys that are not shared, by key: filled by prove_each.
local wrong_types = {}

-- For scripts about many things that can fail one by one: a wrong type of a key that is not shared
-- raises no error, but is noted in wrong_types.
local function prove_each(commands)
  may(commands .. ' TYPE')
  for _, key in ipairs(KEYS) do
    local wrong, shared = wrong_type(key)
    if shared then error({ err = wrong }) end
    wrong_types[key] = wrong
  end
end

-- What is wrong with the keys at these indexes in KEYS, some of which may be nil.
local function wrong_type_at(indexes)
  if not next(wrong_types) then return end
  for _, index in pairs(indexes) do
    if wrong_types[KEYS[index]] then return wrong_types[KEYS[index]] end
  end
end
