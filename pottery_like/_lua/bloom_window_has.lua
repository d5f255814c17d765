-- KEYS: see bloom_window.  ARGV: parameters, the window in milliseconds, offsets per element, offsets.
-- Result: a 1 or a 0 for each element, in a string; or the other parameters that the filter has, in an array.
-- include: bloom_bits
-- include: bloom_window
local other = strange()
if other then return other end
local hashes, packed = tonumber(ARGV[3]), ARGV[4]
local even, odd = counting(1, #packed / 4), counting(3, #packed / 4)
local function all(set, first)
  for i = first, first + hashes - 1 do
    if not set(offset(packed, i)) then return false end
  end
  return true
end
local found = {}
for first = 1, #packed / 4, hashes do
  found[#found + 1] = (all(even, first) or all(odd, first)) and '1' or '0'
end
return table.concat(found)
