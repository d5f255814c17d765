-- KEYS: hash.  ARGV: field, value.  Result: the value there was, or nil after setting it.
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return value
