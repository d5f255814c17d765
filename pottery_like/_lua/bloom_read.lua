-- KEYS: bits, parameters.  ARGV: parameters, first and last byte.
-- Result: those bytes; or the other parameters that the filter has, in an array.
-- include: bloom_bits
return foreign(KEYS[2]) or redis.call('GETRANGE', KEYS[1], ARGV[2], ARGV[3])
