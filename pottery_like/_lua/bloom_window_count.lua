-- KEYS: see bloom_window, then a temporary one.  ARGV: parameters.
-- Result: how many bits are set in either filter; or the other parameters that the filter has, in an array.
-- include: bloom_bits
local other = strange()
if other then return other end
redis.call('BITOP', 'OR', KEYS[4], KEYS[1], KEYS[3])
local count = redis.call('BITCOUNT', KEYS[4])
redis.call('DEL', KEYS[4])
return count
