-- KEYS: hash.  ARGV: texts.  Result: 1 when a value is one of them, else 0.
local wanted = {}
for i = 1, #ARGV do wanted[ARGV[i]] = true end
for _, value in ipairs(redis.call('HVALS', KEYS[1])) do
  if wanted[value] then return 1 end
end
return 0
