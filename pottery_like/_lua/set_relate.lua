-- KEYS: two sets.  ARGV: <=, < or ==.  Result: 1 when the first is in this relation to the second, else 0.
-- include: set_pages
local a, b = redis.call('SCARD', KEYS[1]), redis.call('SCARD', KEYS[2])
if a > b or (ARGV[1] == '<' and a == b) or (ARGV[1] == '==' and a ~= b) then return 0 end
local differs = pages(KEYS[1], function(page, first, last)
  for _, there in ipairs(redis.call('SMISMEMBER', KEYS[2], unpack(page, first, last))) do
    if there == 0 then return true end
  end
end)
return differs and 0 or 1
