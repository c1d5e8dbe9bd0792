-- Shared by all scripts; the loader puts this folder's files in front of each, in order.
-- The type of each key, as the table in processor/store/keys.py documents it.

-- By the first word of a key's name; where a longer name has another type, by that.
local TYPES = {
  job = 'string', history = 'list', answer = 'string', seen = 'string', callback = 'string',
  event = 'hash', delivered = 'stream', dead = 'stream', delivered_ids = 'set', due = 'zset',
  again = 'zset', held = 'zset', order = 'zset', jobs = 'zset', log = 'stream',
  ['log:trimmed'] = 'string', subs = 'hash', ['subs:version'] = 'string', failure_scores = 'hash',
  overflow = 'hash', lanes = 'zset', items = 'hash', parked = 'hash', paced = 'hash',
  nudge = 'list', busy = 'string', meta = 'hash', waiting = 'hash', workers = 'hash',
  processes = 'hash', stepped = 'hash',
}

-- Keys that everything of a shard or backlog needs: one that has another type stops a script. The
-- others are of one job, event, target or lane: what needs one of those fails alone.
local SHARED = [[ jobs log subs failure_scores overflow lanes items parked paced nudge busy meta
  waiting ]]

-- What is wrong with the type of a key (nil: nothing), and whether the key is a shared one.
local function misfit(key)
  local is = redis.call('TYPE', key).ok
  if is == 'none' then return end
  local word = key:match('^{?rb:?%d*}?:([%l_]+)')
  if is == TYPES[word] then return end
  local wanted = TYPES[key:match('}:(.*)')] or TYPES[word]
  if is == wanted then return end
  local shared = SHARED:find('%s' .. word .. '%s')
  return string.format('WRONGTYPE %s is a %s, not a %s', key, is, wanted), shared
end
