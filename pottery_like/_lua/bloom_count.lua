-- KEYS: bits, parameters, further bits.  ARGV: parameters.
-- Result: how many bits are set; or the other parameters that the filter has, in an array.
-- include: bloom_bits
local other = foreign(KEYS[2])
if other then return other end
local count = redis.call('BITCOUNT', KEYS[1])
for i = 3, #KEYS do count = count + redis.call('BITCOUNT', KEYS[i]) end
return count
