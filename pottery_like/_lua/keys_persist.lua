-- KEYS: all keys of a container.  Result: 1 when one had an expiry, else 0.
local any = 0
for i = 1, #KEYS do
  if redis.call('PERSIST', KEYS[i]) == 1 then any = 1 end
end
return any
