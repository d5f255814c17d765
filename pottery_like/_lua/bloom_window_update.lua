-- KEYS: see bloom_window.  ARGV: parameters, the window in milliseconds, offsets per element, offsets.
-- Result: how many elements were not there; or the other parameters that the filter has, in an array.
-- include: bloom_bits
-- include: bloom_window
local other = strange()
if other then return other end
local hashes, packed = tonumber(ARGV[3]), ARGV[4]
local recent, before = reader(KEYS[current], #packed / 4), reader(KEYS[4 - current], #packed / 4)
local note, flush = writer(KEYS[current])
local added = 0
for first = 1, #packed / 4, hashes do
  local now_there, then_there = true, true
  for i = first, first + hashes - 1 do
    local at = offset(packed, i)
    now_there = now_there and recent(at)
    then_there = then_there and before(at)
    note(at)
  end
  if not now_there and not then_there then added = added + 1 end
end
flush()
expire()
return added
