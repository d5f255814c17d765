-- KEYS: value.  ARGV: channels, prefix length, ms to live (0: no end).  Result: whether there is a value.
-- include: flip_part
local found = redis.call('EXISTS', KEYS[1])
if found == 1 then
  if ARGV[3] == '0' then
    redis.call('PERSIST', KEYS[1])
  else
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
  end
  publish('update', KEYS[1])
end
return found
