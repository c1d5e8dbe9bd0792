-- Commits steps of jobs: the record, its history, its events, their deliveries, its timers and the
-- end of the claims that caused them; of one job everything or nothing. Then claims what can start
-- in the lanes of these deliveries.
-- KEYS  subs:version, log, jobs, paused:deliver, rate_limit:deliver, overflow; then those that
--       ARGV[1] names by index
-- ARGV  msgpack {version, room (the worker's: {limit, bytes, lease (ms)}), most (deliveries that
--       may wait), lanes: [LANE; to claim from it also capacity, gap, burst, share], jobs (how
--       many), fields: CHANGEs}; then the bytes that they name; times in ms
-- Returns  per job 1 (written), or why nothing of it was: 0 (its version is another), or what is
--          wrong with the type of a key; what claim.lua returns of each claimed delivery;
--          ids of events that keep an older body; nil if the subscriptions have another version
-- A poll that was asked for stays: see shared/3-asked_polls.lua. A poll's claim that was renewed at
-- the same time runs out: the job is polled once more.
-- Safe twice: the second time a job with a `doc` has another version, and nothing is claimed; one
-- without repeats itself. If the answer is lost, what was claimed is due when its lease ends.
-- Uses: prove, args, time, command_buffer, lane_args, changes, lanes, ordering, history
-- Uses: publish, claiming, held, asked_polls
prove_each([[TIME GET GETRANGE SET PEXPIREAT LINDEX LSET RPUSH LTRIM XADD HGET HSET HDEL HEXISTS
  EXPIRE ZADD ZREM ZRANGE ZCARD ZSCORE EXISTS HMGET HSTRLEN DEL]])
if (redis.call('GET', KEYS[1]) or '0') ~= args.version then return false end
local lanes, now, results = open_lanes(args.lanes), now_ms(), {}
local function is_unchanged(job)
  return redis.call('GETRANGE', KEYS[job.key], 0, 40):match('^%S*') == job.version
end
local function save(job)
  redis.call('SET', KEYS[job.key], ARGV[job.doc], 'PXAT', job.ends)
  if not job.renew then return end
  buffer('ZADD', KEYS[3], job.ends, job.name)
  for _, callback in ipairs(job.callbacks) do
    redis.call('PEXPIREAT', KEYS[callback], job.ends, 'GT')
  end
end

local function write(job)
  if job.doc then save(job) end
  if job.answer then redis.call('SET', KEYS[job.answer_key], ARGV[job.answer], 'PXAT', job.ends) end
  local expires = not job.renew
  for _, e in ipairs(job.entries) do
    expires = add_history(KEYS[job.history], job.ends, ARGV[e.line], e.ignored) or expires
  end
  if not expires then redis.call('PEXPIREAT', KEYS[job.history], job.ends) end
  for _, e in ipairs(job.events) do publish(KEYS[2], KEYS[6], args.most, lanes, e, now) end
  for _, d in ipairs(job.done) do end_claim(lanes[d.lane], d.item, d.token) end
  for _, d in ipairs(job.drops) do drop_timer(lanes[d.lane], d.item) end
  for _, i in ipairs(job.items) do
    if not is_superfluous(lanes[i.lane], i, now) then enqueue(lanes, i, now) end
  end
  if job.held then release_held(lanes[job.held_lane], KEYS[job.held]) end
  return 1
end

for n = 1, args.jobs do
  local job = read_change()
  results[n] = wrong_type_in(job, lanes) or is_unchanged(job) and write(job) or 0
end
local claimed = claim_changed(lanes, args.room, KEYS[4], KEYS[5], now)
finish(lanes, now)
return { results, claimed, older_bodies }
