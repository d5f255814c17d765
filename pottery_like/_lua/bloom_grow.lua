-- Puts elements that aren't there yet into a scalable filter.  KEYS and ARGV: see bloom_stages.
-- Result: how many were not there, or -1 when the filter is full; or its other parameters, in an array.
-- include: bloom_bits
-- include: bloom_stages
local other = strange()
if other then return other end
local packed = ARGV[5]
local elements = #packed / 12
local stage, count = state()
local room = -count
for i = stage, #stages do room = room + stages[i].capacity end
if elements > room then return -1 end
local fresh = redis.call('STRLEN', KEYS[1]) == 0
local left, oldest = fresh and remaining(), stage
local set = reader(KEYS[1], 2 * elements * stage)
local note, flush = writer(KEYS[1])
local added = 0
for i = 1, elements do
  if not has(oldest, set, packed, i) then
    if count >= stages[stage].capacity then stage, count = stage + 1, 0 end
    positions(stages[stage], packed, i, function(at) note(at) end)
    count, added = count + 1, added + 1
  end
end
flush()
if added > 0 then
  redis.call('HSET', KEYS[2], 'stage', stage, 'count', count)
  if fresh then settle(2, left) end
end
return added
