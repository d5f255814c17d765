-- KEYS: hash.  ARGV: milliseconds until it expires, fields.  Result: for each field its value, or nil.
local values = redis.call('HMGET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return values
