-- Makes a name an alias of a job, unless it is a job or an alias of another job. What is held under
-- the name is due then: it is about that job.
-- KEYS  job:ALIAS, held:ALIAS; then those that ARGV[1] names by index
-- ARGV  msgpack {to (the job's id), ends (when the name expires, ms), through? (another alias of
--       the job: the name may be one of that), lanes: [LANE] (of ingest)}
-- Returns  1 if the name is an alias of this job now, else 0
-- Safe twice: the second time only the expiry is set again.
-- Uses: prove, args, time, lane_args, lanes, held
prove('TIME GET SET ZRANGE ZADD ZREM DEL HDEL HGET HSET HMGET EXISTS RPUSH')
local to, lanes, now = 'to ' .. args.to, open_lanes(args.lanes), now_ms()
local through = 'to ' .. (args.through or args.to)
local found = redis.call('GET', KEYS[1]) or ''
if is_held(found) then
  release_held(lanes[1], KEYS[2])
elseif found ~= '' and found ~= to and found ~= through then
  return 0
end
redis.call('SET', KEYS[1], to, 'PXAT', args.ends)
finish(lanes, now)
return 1
