-- KEYS: list.  ARGV: SHA-1 of the elements it must have, for each place the index of its new element (4 bytes each).
-- Result: 1, or 0 when the elements are others.
-- include: list_pages
local old = read(KEYS[1], 0, redis.call('LLEN', KEYS[1]) - 1)
local texts = {}
for i, element in ipairs(old) do texts[i] = #element .. ':' .. element end
if redis.sha1hex(table.concat(texts)) ~= ARGV[1] then return 0 end
local new = {}
for i = 1, #old do new[i] = old[struct.unpack('<I4', ARGV[2], 4 * i - 3) + 1] end
push('RPUSH', KEYS[1], new)
redis.call('LTRIM', KEYS[1], #old, -1)
return 1
