-- KEYS: all keys of a container, then as many of its copy.  Result: nothing.
local count = #KEYS / 2
for i = 1, count do
  if redis.call('COPY', KEYS[i], KEYS[count + i], 'REPLACE') == 0 then redis.call('DEL', KEYS[count + i]) end
end
