-- KEYS: bits, parameters, further bits.  ARGV: parameters, offsets, which of KEYS they belong to (or '' for the first).
-- Result: 1 when a bit was not set, else 0; or the other parameters that the filter has, in an array.
-- include: bloom_bits
local other, known = foreign(KEYS[2])
if other then return other end
local fresh = not known
for i = 1, #KEYS do
  if i ~= 2 and redis.call('STRLEN', KEYS[i]) == 0 then fresh = true end
end
local left = fresh and remaining()
local changed = set_bits(#KEYS, ARGV[2], ARGV[3])
if fresh then settle(#KEYS, left) end
return changed and 1 or 0
