-- KEYS: list.  ARGV: start, stop, texts.  Result: the first index in the range whose element is one of them, or nil.
-- include: list_bounds
local length = redis.call('LLEN', KEYS[1])
local start, stop = bound(ARGV[1], length, 0, length, 0), bound(ARGV[2], length, 0, length, length)
local best
for i = 3, #ARGV do
  if start >= stop then break end
  -- LPOS has no start, but can skip as many matches as there are before it.
  local before = start > 0 and #redis.call('LPOS', KEYS[1], ARGV[i], 'COUNT', 0, 'MAXLEN', start) or 0
  local found = redis.call('LPOS', KEYS[1], ARGV[i], 'RANK', before + 1, 'MAXLEN', stop)
  if found then best, stop = found, found end
end
return best
