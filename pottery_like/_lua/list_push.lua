-- KEYS: list[, another list].  ARGV: RPUSH or LPUSH, the most elements to keep (at least 1) or '', elements unless
-- they are the other list's.  Result: nil.
-- include: list_pages
local key, command, most = KEYS[1], ARGV[1], tonumber(ARGV[2])
local elements
if KEYS[2] then
  local length = redis.call('LLEN', KEYS[2])
  elements = read(KEYS[2], most and math.max(0, length - most) or 0, length - 1)
else
  elements = {unpack(ARGV, 3)}
end
push(command, key, elements)
if not most then return nil end
if command == 'RPUSH' then
  redis.call('LTRIM', key, -most, -1)
else
  redis.call('LTRIM', key, 0, most - 1)
end
return nil
