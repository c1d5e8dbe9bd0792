-- Deletes a job, and keeps a tombstone for a while, so that late pushes of it are ignored. Its
-- timers find no job when they fall due. Its groups learn of it, and who waits for it.
-- KEYS  job, history, answer, jobs, deletions; then those that ARGV[1] names by index
-- ARGV  msgpack {version (of the job, as it was read), uid, name, lasts (how long the tombstone
--       lives, ms), lanes: [LANE], fields: ITEMs for its groups}; then their payloads
-- Returns  1, or 0 if the job has another version
-- Safe twice: the second time there is none.
-- Uses: prove, args, time, deletions, lane_args, readers, lanes, ordering
prove([[TIME GETRANGE SET DEL ZREM ZADD HSET HDEL ZRANGE ZSCORE HEXISTS EXISTS RPUSH HMGET HSTRLEN
  XADD PEXPIRE]])
if redis.call('GETRANGE', KEYS[1], 0, 40):match('^%S*') ~= args.version then return 0 end
local lanes, now = open_lanes(args.lanes), now_ms()
redis.call('SET', KEYS[1], 'gone', 'PX', args.lasts)
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[4], args.name)
note_deletion(KEYS[5], args.uid, now)
for _, i in ipairs(list(read_item)) do enqueue(lanes, i, now) end
finish(lanes, now)
return 1
