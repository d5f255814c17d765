-- KEYS: list.  ARGV: index, element, marker that no element equals, the most elements there may be or ''.
-- Result: 1, or 0 when the list is full.
-- include: list_pages
-- include: list_splice
-- include: list_gates
-- include: list_bounds
local key, most = KEYS[1], tonumber(ARGV[4])
local length = redis.call('LLEN', key)
if most and length >= most then return 0 end
local index = bound(ARGV[1], length, 0, length, 0)
if index == 0 then
  redis.call('LPUSH', key, ARGV[2])
elseif index == length then
  redis.call('RPUSH', key, ARGV[2])
elseif math.min(index, length - index) <= 1000 then
  growing(key)
  splice(key, length, index, index, {ARGV[2]})
else
  local pivot = redis.call('LINDEX', key, index)
  redis.call('LSET', key, index, ARGV[3])
  redis.call('LINSERT', key, 'BEFORE', ARGV[3], ARGV[2])
  redis.call('LSET', key, index + 1, pivot)
end
return 1
