-- KEYS: hash.  ARGV: milliseconds until it expires, field, value.  Result: the value there was, or nil after setting it.
local value = redis.call('HGET', KEYS[1], ARGV[2])
if not value then redis.call('HSET', KEYS[1], ARGV[2], ARGV[3]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return value
