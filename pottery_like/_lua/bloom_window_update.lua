-- KEYS: see bloom_window.  ARGV: parameters, the window in milliseconds, offsets per element, offsets.
-- Result: how many elements were not there; or the other parameters that the filter has, in an array.
-- include: bloom_bits
-- include: bloom_window
local other = strange()
if other then return other end
local hashes, packed = tonumber(ARGV[3]), ARGV[4]
local recent, before = counting(current, #packed / 4), counting(4 - current, #packed / 4)
local begun = live(current)
if not begun and redis.call('EXISTS', KEYS[current]) == 1 then redis.call('UNLINK', KEYS[current]) end
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
if not begun then
  redis.call('HSET', KEYS[2], 'parameters', ARGV[1], names[current], text(period))
  redis.call('PEXPIREAT', KEYS[current], text((period + 2) * window))
  redis.call('PEXPIREAT', KEYS[2], text((period + 2) * window))
end
return added
