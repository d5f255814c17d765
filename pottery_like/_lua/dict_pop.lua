-- KEYS: hash.  ARGV: field.  Result: the value removed, or nil.
local value = redis.call('HGET', KEYS[1], ARGV[1])
if value then redis.call('HDEL', KEYS[1], ARGV[1]) end
return value
