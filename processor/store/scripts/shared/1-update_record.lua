-- The record of the job that an update in ingest is about, for a claim that reads it on the way.

-- What is stored under the id of the job, in the shard of a key; false if the update does not show
-- the id as it is (source and id come first, but a character may be escaped), or the user may not
-- read that key, or it has another type.
local function record_of(update, key_in_shard)
  local source, id = update:match('^{"source":"([^"\\]+)","id":"([^"\\]+)"')
  local key = source and key_in_shard:match('^{.-}:') .. 'job:' .. source .. '/' .. id
  local found = key and redis.pcall('GETRANGE', key, 0, -1)
  return type(found) == 'string' and found
end
