-- KEYS: set.  ARGV: elements, each once.  Result: nothing.
local there = redis.call('SMISMEMBER', KEYS[1], unpack(ARGV))
local add, remove = {}, {}
for i = 1, #ARGV do table.insert(there[i] == 1 and remove or add, ARGV[i]) end
-- In this order no memory is wanted after a change, and the set never becomes empty and loses its expiry.
if #add > 0 then redis.call('SADD', KEYS[1], unpack(add)) end
if #remove > 0 then redis.call('SREM', KEYS[1], unpack(remove)) end
