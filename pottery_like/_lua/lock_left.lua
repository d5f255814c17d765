-- KEYS: lock.  ARGV: token.  Result: ms until the token's lease ends, 0 when it doesn't hold the lock.
local value = redis.call('GET', KEYS[1])
if value and string.sub(value, 1, 32) == ARGV[1] then return redis.call('PTTL', KEYS[1]) end
return 0
