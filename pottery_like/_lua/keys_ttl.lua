-- KEYS: all keys of a container.  Result: the longest PTTL; -1 when one has no expiry, -2 when there is none.
local longest = -2
for i = 1, #KEYS do
  local left = redis.call('PTTL', KEYS[i])
  if left == -1 then return -1 end
  if left > longest then longest = left end
end
return longest
