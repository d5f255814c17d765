-- KEYS: set.  ARGV: least size, greatest size.  Result: its elements, or nil when its size isn't within these.
local size = redis.call('SCARD', KEYS[1])
if size < tonumber(ARGV[1]) or size > tonumber(ARGV[2]) then return nil end
return redis.call('SMEMBERS', KEYS[1])
