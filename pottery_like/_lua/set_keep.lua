-- KEYS: set, sets to intersect it with.  ARGV: 1 when the first of these is ours to fill and remove, else 0; elements
-- to fill it with.  Result: nothing.
for i = 1, #KEYS do redis.call('SCARD', KEYS[i]) end
local ttl = redis.call('PTTL', KEYS[1])
if #ARGV > 1 then redis.call('SADD', KEYS[2], unpack(ARGV, 2)) end
redis.call('SINTERSTORE', KEYS[1], unpack(KEYS))
if ttl >= 0 then redis.call('PEXPIRE', KEYS[1], math.max(ttl, 1)) end
if ARGV[1] == '1' then redis.call('UNLINK', KEYS[2]) end
