-- Looks elements up in a scalable filter.  KEYS and ARGV: see bloom_stages.
-- Result: a 1 or a 0 for each element, in a string; or the other parameters that the filter has, in an array.
-- include: bloom_bits
-- include: bloom_stages
local other = strange()
if other then return other end
local packed = ARGV[5]
local elements = #packed / 12
local stage = state()
local set = reader(KEYS[1], 2 * elements * stage)
local found = {}
for i = 1, elements do found[i] = has(stage, set, packed, i) and '1' or '0' end
return table.concat(found)
