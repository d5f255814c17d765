-- KEYS: see memo_part.  ARGV: flags, field.  Result: whether there was such an entry.
-- include: lease_part
-- include: memo_part
local field = ARGV[2]
-- Who computes it now may have read what is out of date.
redis.call('HDEL', FLIGHTS, field)
if ORDER then redis.call('ZREM', ORDER, field) end
if EXPIRIES then redis.call('ZREM', EXPIRIES, field) end
return redis.call('HDEL', ENTRIES, field)
