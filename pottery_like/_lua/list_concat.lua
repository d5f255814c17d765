-- KEYS: list, new list[, another list].  ARGV: RPUSH or LPUSH, the most elements to keep (at least 1) or '', elements
-- unless they are the other list's.  Result: nil, after making the new list of the first and those pushed to it.
-- include: list_pages
redis.call('LLEN', KEYS[1])
local elements = KEYS[3] and read(KEYS[3], 0, redis.call('LLEN', KEYS[3]) - 1) or {unpack(ARGV, 3)}
redis.call('COPY', KEYS[1], KEYS[2])
push(ARGV[1], KEYS[2], elements)
if ARGV[2] ~= '' then redis.call('LTRIM', KEYS[2], -ARGV[2], -1) end
return nil
