-- KEYS: hash.  ARGV: field, expected value, new value.  Result: 1, or 0 when the value is another.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
