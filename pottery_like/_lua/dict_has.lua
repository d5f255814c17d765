-- KEYS: hash.  ARGV: fields.  Result: for each, 1 or 0.
local found = {}
for i = 1, #ARGV do found[i] = redis.call('HEXISTS', KEYS[1], ARGV[i]) end
return found
