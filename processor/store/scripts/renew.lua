-- Renews leases that are still ours.
-- KEYS  per item: held:B:L
-- ARGV  lease (ms); then per item: item, token
-- Returns  per item its new token, or 0 when the lease was lost, or its key has another type
-- Safe twice: the second time the token is an old one, and the lease stands.
prove_each('TIME ZSCORE ZADD')
local lease = now_ms() + tonumber(ARGV[1])
local tokens = {}
for i, held in ipairs(KEYS) do
  local item, token = ARGV[2 * i], tonumber(ARGV[2 * i + 1])
  tokens[i] = 0
  if not misfits[held] and tonumber(redis.call('ZSCORE', held, item)) == token then
    redis.call('ZADD', held, lease, item)
    tokens[i] = lease
  end
end
return tokens
