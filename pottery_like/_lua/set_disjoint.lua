-- KEYS: two sets.  Result: 1 when they have nothing in common, else 0.
-- include: set_pages
local small, large = KEYS[1], KEYS[2]
if redis.call('SCARD', small) > redis.call('SCARD', large) then small, large = large, small end
local meet = pages(small, function(page, first, last)
  for _, there in ipairs(redis.call('SMISMEMBER', large, unpack(page, first, last))) do
    if there == 1 then return true end
  end
end)
return meet and 0 or 1
