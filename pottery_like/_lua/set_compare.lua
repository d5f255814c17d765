-- KEYS: set.  ARGV: elements, each once.  Result: the set's size, how many of the elements are in it.
local hits = 0
if #ARGV > 0 then
  for _, there in ipairs(redis.call('SMISMEMBER', KEYS[1], unpack(ARGV))) do hits = hits + there end
end
return {redis.call('SCARD', KEYS[1]), hits}
