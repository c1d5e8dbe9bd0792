-- Commits steps of jobs: the job, its history, its events, their deliveries, its timers and
-- the end of the claims that brought them, all or nothing of one job.
-- KEYS  subs:version, log, jobs; then all keys that ARGV[1] names by their place
-- ARGV  what doc, text, answer, body and payload name by their place; first of all msgpack {version, keep, jobs: [{key, name, v ('': none, 'gone': deleted), ends, doc?,
--       history, entries: [{at,
--       text, ignored}], answer?, answer_key, events: [{key, id, type, body, logged, n}],
--       puts: [{lanes, items, due, lane, item, at, payload, nudge?}], drops: [{items, due,
--       held, item}]}], touched: [{lanes, due, held, lane}]}; times in ms
-- Returns  per job 1 (written) or 0 (its version is another: nothing of it was written);
--          nil when the subscriptions' version is another: nothing at all was written
-- Safe twice: the second time every job with a `doc` is at another version.
local told = cmsgpack.unpack(ARGV[1])
if (redis.call('GET', KEYS[1]) or '0') ~= told.version then return false end

local function remember(key, entry, ends)
  local text = ARGV[entry.text]
  local count, last = (redis.call('LINDEX', key, -1) or ''):match('^%d+ (%d+) (.*)$')
  if entry.ignored and last == text then
    redis.call('LSET', key, -1, entry.at .. ' ' .. (count + 1) .. ' ' .. text)
  else
    redis.call('RPUSH', key, entry.at .. ' 1 ' .. text)
    redis.call('LTRIM', key, -200, -1)
  end
  redis.call('PEXPIREAT', key, ends)
end

local function tell(e)
  if e.logged then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', told.keep, '*', 'id', e.id, 'type', e.type, 'body', ARGV[e.body])
  end
  if e.n > 0 then
    redis.call('HSET', KEYS[e.key], 'body', ARGV[e.body])
    redis.call('HINCRBY', KEYS[e.key], 'n', e.n)
    redis.call('EXPIRE', KEYS[e.key], 1209600)
  end
end

local function save(job)
  local key = KEYS[job.key]
  local stands = redis.call('HGET', key, 'v') or ''
  if stands == '' and redis.call('EXISTS', key) == 1 then
    stands = redis.call('HGET', key, 'gone') and 'gone' or 'alias'
  end
  if stands ~= job.v then return false end
  if stands == 'gone' then redis.call('DEL', key) end
  redis.call('HSET', key, 'v', (tonumber(job.v) or 0) + 1, 'doc', ARGV[job.doc])
  redis.call('PEXPIREAT', key, job.ends)
  redis.call('ZADD', KEYS[3], job.ends, job.name)
  return true
end

local results = {}
for i, job in ipairs(told.jobs) do
  results[i] = 0
  if not job.doc or save(job) then
    results[i] = 1
    if job.answer then redis.call('SET', KEYS[job.answer_key], ARGV[job.answer], 'PXAT', job.ends) end
    for _, entry in ipairs(job.entries) do remember(KEYS[job.history], entry, job.ends) end
    for _, event in ipairs(job.events) do tell(event) end
    for _, d in ipairs(job.drops) do drop(KEYS[d.items], KEYS[d.due], KEYS[d.held], d.item) end
    for _, p in ipairs(job.puts) do
      put(KEYS[p.lanes], KEYS[p.items], KEYS[p.due], p.lane, p.item, p.at, ARGV[p.payload])
      if p.nudge then nudge(KEYS[p.nudge]) end
    end
  end
end
for _, t in ipairs(told.touched) do
  index(KEYS[t.lanes], KEYS[t.held], t.lane, first(KEYS[t.due]))
end
return results
