-- KEYS: entry, flights, wake.  ARGV: row, token, value, ms to live (0 = no end).
-- Result: 1; 0 = not stored, as the lease has passed to somebody else, or the entry has been written or invalidated.
-- include: lease_part
local stored = flight(KEYS[2], ARGV[1]) == ARGV[2] and redis.call('EXISTS', KEYS[1]) == 0
if stored then
  if ARGV[4] == '0' then
    redis.call('SET', KEYS[1], ARGV[3])
  else
    redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
  end
end
land(KEYS[2], ARGV[1], ARGV[2], KEYS[3], '+')
return stored and 1 or 0
