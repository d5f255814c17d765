-- KEYS: list[, new list].  ARGV: times (at least 1), the most elements to keep (at least 1) or ''.
-- Result: 1 after repeating the list where it is, or into the new one; 0 when that is more than a list can hold.
-- include: list_pages
local key, times, most = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local length = redis.call('LLEN', key)
if length == 0 then return 1 end
if most then times = math.min(times, math.ceil(most / length)) end
if times * length >= 2 ^ 32 then return 0 end
local elements = times > 1 and read(key, 0, length - 1)
if KEYS[2] then
  redis.call('COPY', key, KEYS[2])
  key = KEYS[2]
end
for _ = 2, times do push('RPUSH', key, elements) end
if most then redis.call('LTRIM', key, -most, -1) end
return 1
