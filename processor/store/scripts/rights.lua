-- Lists the commands that the user may not run on Ringback's keys.
-- KEYS  two of Ringback's keys, one of a shard and one without: a right may be limited to some keys
-- ARGV  the commands, as COMMAND or COMMAND|SUBCOMMAND
-- Returns  those that are denied
-- Writes nothing. Safe twice.
-- Uses: prove
may('')
local denied = {}
for _, command in ipairs(ARGV) do
  local words = {}
  for word in command:gmatch('[^|]+') do words[#words + 1] = word end
  words[#words + 1], words[#words + 2] = KEYS[1], KEYS[2]
  if not redis.acl_check_cmd(unpack(words)) then denied[#denied + 1] = command end
end
return denied
