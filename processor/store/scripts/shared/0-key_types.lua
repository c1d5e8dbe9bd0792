-- The type of each key, as the table in processor/store/keys.py documents it.

-- By the first word of a key's name, or by the whole name where that has another type.
local TYPES = {
  job = 'string', history = 'list', answer = 'string', seen = 'string', callback = 'string',
  event = 'hash', delivered = 'stream', dead = 'stream', delivered_ids = 'set', due = 'zset',
  retries = 'zset', claimed = 'zset', order = 'zset', jobs = 'zset', log = 'stream',
  ['log:trimmed'] = 'string', subs = 'hash', ['subs:version'] = 'string', failure_scores = 'hash',
  overflow = 'hash', lanes = 'zset', items = 'hash', paused = 'hash', rate_limit = 'hash',
  nudge = 'list', busy = 'string', meta = 'hash', waiting = 'hash', workers = 'hash',
  processes = 'hash', clock_step = 'hash', statistics = 'hash', bucket = 'hash', waited = 'zset',
  held = 'zset', group = 'string', members = 'hash', task = 'hash', groups = 'zset',
  deletions = 'stream', failing = 'zset',
}

-- Keys that all work of a shard or backlog needs: a wrong type of one of them stops a script. The
-- others belong to one job, event, target or lane: only what needs such a key fails.
local SHARED = [[ jobs groups log subs failure_scores overflow lanes items paused rate_limit
  nudge busy meta waiting deletions ]]

-- What is wrong with the type of a key (nil: nothing), and whether the key is shared.
local function wrong_type(key)
  local found = redis.call('TYPE', key).ok
  if found == 'none' then return end
  local word = key:match(':([%l_]+)')
  if found == TYPES[word] then return end
  local expected = TYPES[key:match('}:(.*)')] or TYPES[word]
  if found == expected then return end
  local shared = SHARED:find('%s' .. word .. '%s')
  return string.format('WRONGTYPE %s is a %s, not a %s', key, found, expected), shared
end
