-- KEYS: hash.  ARGV: milliseconds until it expires, then fields and values.  Result: nil.
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
