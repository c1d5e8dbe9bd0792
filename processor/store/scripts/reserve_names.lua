-- Reserves names of jobs that do not exist yet, those of one shard.
-- KEYS  those that ARGV[1] names by index
-- ARGV  msgpack {reserve (ms), word (`new-` or `held-`), fields: NAMINGs}
-- Returns  per naming the id that `to` or a name has shown, nil if none has, or '' if it is about a
--          deleted job, or a key of a name has another type (then none of its names is reserved)
-- Safe twice: the second time all names exist, and stay what they are.
-- Uses: prove, args, readers, names
prove_each('GETRANGE SET')
local ids = {}
for n, naming in ipairs(list(read_naming)) do ids[n] = reserve(naming, args.reserve, args.word) end
return ids
