-- Reserves names of jobs that are yet to be made, those of one shard.
-- KEYS  all that ARGV[1] names by place
-- ARGV  msgpack {reserve (ms), named: [NAMING]}
-- Returns  per naming the job's id, or '' when it is about a deleted job,
--          or a key of a name has another type (none is reserved then)
-- Safe twice: the second time all names stand, and stay what they are.
prove_each('GETRANGE SET')
local told, ids = cmsgpack.unpack(ARGV[1]), {}
for i, naming in ipairs(told.named) do ids[i] = reserve(naming, told.reserve) end
return ids
