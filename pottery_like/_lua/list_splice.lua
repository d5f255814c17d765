-- Included: replace the elements from one index to before another, moving those on the shorter side.
local function backwards(elements)
  local reversed = {}
  for i = #elements, 1, -1 do reversed[#reversed + 1] = elements[i] end
  return reversed
end

local function splice(key, length, from, to, new)
  if from == 0 and to == length then
    -- In this order the key, and so its expiry, outlives the old elements.
    push('RPUSH', key, new)
    redis.call('LTRIM', key, length, -1)
  elseif length - to <= from then
    local tail = read(key, to, length - 1)
    redis.call('LTRIM', key, 0, from - 1)
    push('RPUSH', key, new)
    push('RPUSH', key, tail)
  else
    local head = read(key, 0, from - 1)
    redis.call('LTRIM', key, to, -1)
    push('LPUSH', key, backwards(new))
    push('LPUSH', key, backwards(head))
  end
end
