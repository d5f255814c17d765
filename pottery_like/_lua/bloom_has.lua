-- KEYS: bits, parameters, further bits.
-- ARGV: parameters, offsets per element, offsets, which of KEYS they belong to (or '' for the first).
-- Result: a 1 or a 0 for each element, in a string; or the other parameters that the filter has, in an array.
-- include: bloom_bits
local other = foreign(KEYS[2])
if other then return other end
local hashes, packed, places = tonumber(ARGV[2]), ARGV[3], ARGV[4]
local set = {}
for i = 1, #KEYS do
  if i ~= 2 then set[i] = reader(KEYS[i], #packed / 4) end
end
local found = {}
for first = 1, #packed / 4, hashes do
  local all = '1'
  for i = first, first + hashes - 1 do
    if not set[place(places, i)](offset(packed, i)) then
      all = '0'
      break
    end
  end
  found[#found + 1] = all
end
return table.concat(found)
