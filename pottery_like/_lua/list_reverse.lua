-- KEYS: list.  ARGV: none.  Result: nil.
-- The reversed elements are pushed before the old ones, so the key and its expiry last, and nothing is ever missing.
local length = redis.call('LLEN', KEYS[1])
if length < 2 then return nil end
for from = 0, length - 1, 1000 do
  local page = redis.call('LRANGE', KEYS[1], 2 * from, math.min(2 * from + 999, from + length - 1))
  redis.call('LPUSH', KEYS[1], unpack(page))
end
redis.call('LTRIM', KEYS[1], 0, length - 1)
return nil
