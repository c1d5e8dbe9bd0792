-- Commits steps of jobs: the job, its history, its events, their deliveries, its timers and
-- the end of the claims that brought them, all or nothing of one job.
-- KEYS  subs:version, log, jobs, busy:deliver, overflow; then all that ARGV[1] names by place
-- ARGV  msgpack {version, awake? (who delivers), busy (ms), most (deliveries that may wait),
--       lanes: [LANE],
--       jobs: [{key, name, v (what stands there), doc?, ends, renew, callbacks, history,
--       entries: [[at, text, ignored]], answer?, answer_key, events: [{key, id, type, body,
--       logged, puts}], drops: [[lane, item]], puts: [[lane, item, at (0: now), payload, order?,
--       sequence?]]}]}; then what doc, text, answer, body and payload name; times in ms
-- Returns  per job 1 (written), 0 (its version is another: nothing of it was written), or what is
--          wrong with the type of a key of it (nothing of it was written);
--          nil when the subscriptions' version is another: nothing at all was written
-- Safe twice: the second time every job with a `doc` is at another version, and what has
-- none only repeats itself.
prove_each([[TIME GET GETRANGE SET PEXPIREAT LINDEX LSET RPUSH LTRIM XADD HGET HSET HDEL HEXISTS
  EXPIRE ZADD ZREM ZRANGE ZCARD ZSCORE EXISTS HMGET HSTRLEN]])
local told = cmsgpack.unpack(ARGV[1])
if (redis.call('GET', KEYS[1]) or '0') ~= told.version then return false end
local lanes, now, results = keys_of(told.lanes), now_ms(), {}

local function save(job)
  redis.call('SET', KEYS[job.key], ARGV[job.doc], 'PXAT', job.ends)
  if not job.renew then return end
  buffer('ZADD', KEYS[3], job.ends, job.name)
  for _, callback in ipairs(job.callbacks) do
    redis.call('PEXPIREAT', KEYS[callback], job.ends, 'GT')
  end
end

local function misfit_in(job)
  if not next(misfits) then return end
  local wrong = misfit_at({ job.key, job.history, job.answer_key }) or misfit_at(job.callbacks)
    or misfit_of(lanes, job.puts) or misfit_of(lanes, job.drops)
  for _, e in ipairs(job.events) do
    wrong = wrong or misfit_at({ e.key }) or misfit_of(lanes, e.puts)
  end
  return wrong
end

for i, job in ipairs(told.jobs) do
  results[i] = misfit_in(job) or 0
  if results[i] == 0 and redis.call('GETRANGE', KEYS[job.key], 0, 40):match('^%S*') == job.v then
    results[i] = 1
    if job.doc then save(job) end
    if job.answer then
      redis.call('SET', KEYS[job.answer_key], ARGV[job.answer], 'PXAT', job.ends)
    end
    for _, e in ipairs(job.entries) do
      add_history(KEYS[job.history], job.ends, e[1], ARGV[e[2]], e[3])
    end
    if job.renew and job.v ~= '' then redis.call('PEXPIREAT', KEYS[job.history], job.ends) end
    for _, e in ipairs(job.events) do publish(KEYS[2], KEYS[5], told.most, lanes, e, now) end
    for _, d in ipairs(job.drops) do drop(lanes[d[1]], d[2]) end
    for _, p in ipairs(job.puts) do enqueue(lanes, p, now) end
  end
end
if told.awake then redis.call('SET', KEYS[4], told.awake, 'NX', 'PX', told.busy) end
finish(now)
return results
