-- KEYS: sets.  ARGV: elements.  Result: for each, 1 when it is in all the sets, else 0.
local found = redis.call('SMISMEMBER', KEYS[1], unpack(ARGV))
for k = 2, #KEYS do
  local there = redis.call('SMISMEMBER', KEYS[k], unpack(ARGV))
  for i = 1, #ARGV do found[i] = found[i] * there[i] end
end
return found
