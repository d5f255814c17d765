-- KEYS: bits, parameters, temporary.  ARGV: parameters, bits to set.
-- Result: nothing; or the other parameters that the filter has, in an array.
-- include: bloom_bits
local other = foreign(KEYS[2])
if other then return other end
redis.call('STRLEN', KEYS[1])
local left = remaining()
redis.call('SET', KEYS[3], ARGV[2])
redis.call('BITOP', 'OR', KEYS[1], KEYS[1], KEYS[3])
redis.call('DEL', KEYS[3])
settle(2, left)
