-- KEYS: set, another set.  ARGV: 1 when the other is ours to remove, else 0.  Result: nothing.
local add = redis.call('SDIFF', KEYS[2], KEYS[1])
local remove = redis.call('SINTER', KEYS[1], KEYS[2])
-- In this order no memory is wanted after a change, and the set never becomes empty and loses its expiry.
for i = 1, #add, 1000 do redis.call('SADD', KEYS[1], unpack(add, i, math.min(i + 999, #add))) end
for i = 1, #remove, 1000 do redis.call('SREM', KEYS[1], unpack(remove, i, math.min(i + 999, #remove))) end
if ARGV[1] == '1' then redis.call('UNLINK', KEYS[2]) end
