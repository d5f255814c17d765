-- KEYS: value, [flights].  ARGV: channels, prefix length.  Result: the value that was removed, or nil.
-- include: flip_part
local value = redis.call('GET', KEYS[1])
if value then
  redis.call('UNLINK', unpack(KEYS))
  publish('delete', KEYS[1])
end
return value
