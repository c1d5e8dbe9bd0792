-- Renews the leases that the caller still has.
-- KEYS  per item: claimed:B:L
-- ARGV  lease (ms); then per item: item, token
-- Returns  per item its new token, or 0 if the lease was lost, or its key has another type
-- Safe twice: the second time the token is an old one, and the lease stays.
-- Uses: prove, time
prove_each('TIME ZSCORE ZADD')
local lease = now_ms() + tonumber(ARGV[1])
local tokens = {}
for n, held in ipairs(KEYS) do
  local item, token = ARGV[2 * n], tonumber(ARGV[2 * n + 1])
  tokens[n] = 0
  if not wrong_types[held] and tonumber(redis.call('ZSCORE', held, item)) == token then
    redis.call('ZADD', held, lease, item)
    tokens[n] = lease
  end
end
return tokens
