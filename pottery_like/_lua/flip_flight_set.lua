-- KEYS: value, flights, wake.  ARGV: channels, prefix length, row, token, the new value, ms to live (0: no end).
-- Result: 1; 0 = not stored, as the value has been written, by whomever, or removed.
-- include: flip_part
-- include: lease_part
local stored = begun(KEYS[2], ARGV[3], ARGV[4]) and redis.call('EXISTS', KEYS[1]) == 0
if stored then
  local reply = put(KEYS[1], ARGV[5], ARGV[6])
  if reply.err then
    return reply
  end
  publish('update', KEYS[1])
end
land(KEYS[2], ARGV[3], ARGV[4], KEYS[3], '+', stored)
return stored and 1 or 0
