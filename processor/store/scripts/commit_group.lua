-- Commits a step of a group: its record, rows of its members, its event with the deliveries, its
-- timer; everything or nothing.
-- KEYS  subs:version, log, overflow, groups, group, members; then those that ARGV[1] names by index
-- ARGV  msgpack {version (of the subscriptions), before (the version that was read), id, ends (when
--       its keys expire, ms), doc (index in ARGV), most (deliveries that may wait), lanes: [LANE],
--       fields: rows [name, row], callback targets [index in KEYS], EVENTs, items to drop [lane,
--       item], ITEMs}; then the bytes that they name
-- Returns  1, or 0 if the group has another version; nil if the subscriptions have
-- Safe twice: the second time the group has another version.
-- Uses: prove, args, time, command_buffer, lane_args, readers, changes, lanes, ordering, publish
prove([[TIME GET GETRANGE SET PEXPIREAT XADD HGET HSET HDEL HEXISTS EXPIRE ZADD ZREM ZRANGE ZCARD
  ZSCORE EXISTS RPUSH HMGET HSTRLEN]])
if (redis.call('GET', KEYS[1]) or '0') ~= args.version then return false end
if redis.call('GETRANGE', KEYS[5], 0, 40):match('^%S*') ~= args.before then return 0 end
local lanes, now = open_lanes(args.lanes), now_ms()
redis.call('SET', KEYS[5], ARGV[args.doc], 'PXAT', args.ends)
for _ = 1, field() do buffer('HSET', KEYS[6], field(), field()) end
buffer('ZADD', KEYS[4], args.ends, args.id)
flush()
redis.call('PEXPIREAT', KEYS[6], args.ends)
for _, callback in ipairs(list(field)) do
  redis.call('PEXPIREAT', KEYS[callback], args.ends, 'GT')
end
for _, e in ipairs(list(read_event)) do publish(KEYS[2], KEYS[3], args.most, lanes, e, now) end
for _, d in ipairs(list(read_drop)) do drop(lanes[d.lane], d.item) end
for _, i in ipairs(list(read_item)) do enqueue(lanes, i, now) end
finish(lanes, now)
return 1
