-- KEYS: set, other sets.  ARGV: SADD or SREM, further elements.  Result: nothing.
-- Takes time in proportion to what is added or removed, whatever the set's own size, and leaves its expiry alone.
-- include: set_pages
for i = 1, #KEYS do redis.call('SCARD', KEYS[i]) end
if #ARGV > 1 then redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2)) end
for i = 2, #KEYS do
  if KEYS[i] ~= KEYS[1] then
    pages(KEYS[i], function(page, first, last) redis.call(ARGV[1], KEYS[1], unpack(page, first, last)) end)
  elseif ARGV[1] == 'SREM' then
    redis.call('UNLINK', KEYS[1])
  end
end
