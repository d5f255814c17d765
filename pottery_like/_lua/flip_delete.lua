-- KEYS: values, then as many of their flights.  ARGV: channels, prefix length, how many values.  Result: how many there were.
-- include: flip_part
local gone = 0
for index = 1, tonumber(ARGV[3]) do
  if redis.call('UNLINK', KEYS[index]) == 1 then
    gone = gone + 1
    publish('delete', KEYS[index])
  end
end
for index = ARGV[3] + 1, #KEYS do
  redis.call('UNLINK', KEYS[index])
end
return gone
