-- KEYS: list.  ARGV: texts.  Result: how many elements are one of them.
local total = 0
for i = 1, #ARGV do total = total + #redis.call('LPOS', KEYS[1], ARGV[i], 'COUNT', 0) end
return total
