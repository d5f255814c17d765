-- KEYS: HyperLogLog, others.  ARGV: elements.  Result: nothing.
redis.call('PFMERGE', unpack(KEYS))
redis.call('PFADD', KEYS[1], unpack(ARGV))
