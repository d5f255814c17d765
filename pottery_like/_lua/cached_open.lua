-- KEYS: hash.  ARGV: milliseconds until it expires, fields.  Result: for each field its value, or nil.
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('HMGET', KEYS[1], unpack(ARGV, 2))
