-- KEYS: bits, parameters, further bits.  ARGV: parameters, offsets, which of KEYS they belong to (or '' for the first).
-- Result: 1 when a bit was not set, else 0; or the other parameters that the filter has, in an array.
-- include: bloom_bits
local other = foreign(KEYS[2])
if other then return other end
local fresh = false
for i = 1, #KEYS do
  if i ~= 2 and redis.call('STRLEN', KEYS[i]) == 0 then fresh = true end
end
local left = remaining()
local changed = set_bits(#KEYS, ARGV[2], ARGV[3])
settle(#KEYS, left, fresh)
return changed and 1 or 0
