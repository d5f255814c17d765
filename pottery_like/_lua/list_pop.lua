-- KEYS: list.  ARGV: index, marker that no element equals, 1 when the element is wanted.
-- Result: the element removed (or '', unwanted); or the list's length, when the index is outside.
-- include: list_gates
local key, index = KEYS[1], tonumber(ARGV[1])
local length = redis.call('LLEN', key)
if index < 0 then index = index + length end
if index < 0 or index >= length then return length end
local element = ARGV[3] == '1' and redis.call('LINDEX', key, index) or ''
removing(key)
if index == 0 then
  redis.call('LPOP', key)
elseif index == length - 1 then
  redis.call('RPOP', key)
else
  redis.call('LSET', key, index, ARGV[2])
  redis.call('LREM', key, index < length / 2 and 1 or -1, ARGV[2])
end
return element
