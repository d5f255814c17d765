-- KEYS: see memo_part.  ARGV: flags.  Result: {hits, misses, entries}, without those that have expired.
-- include: lease_part
-- include: memo_part
if EXPIRIES then
  while purge(now()) > 0 do end
end
local numbers = STATISTICS and redis.call('HMGET', STATISTICS, 'hits', 'misses') or {}
return {tonumber(numbers[1] or 0), tonumber(numbers[2] or 0), redis.call('HLEN', ENTRIES)}
