-- KEYS: see bloom_window, then a temporary one.  ARGV: parameters, the window in milliseconds.
-- Result: how many bits are set in either filter; or the other parameters that the filter has, in an array.
-- include: bloom_bits
-- include: bloom_window
local other = strange()
if other then return other end
local even, odd = live(1), live(3)
if not (even and odd) then return (even or odd) and redis.call('BITCOUNT', KEYS[even and 1 or 3]) or 0 end
redis.call('BITOP', 'OR', KEYS[4], KEYS[1], KEYS[3])
local count = redis.call('BITCOUNT', KEYS[4])
redis.call('DEL', KEYS[4])
return count
