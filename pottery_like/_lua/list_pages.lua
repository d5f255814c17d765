-- Included: reading and pushing any number of elements, a thousand per call.
local function read(key, first, last)
  local elements = {}
  for from = first, last, 1000 do
    for _, element in ipairs(redis.call('LRANGE', key, from, math.min(from + 999, last))) do
      elements[#elements + 1] = element
    end
  end
  return elements
end

local function push(command, key, elements)
  for from = 1, #elements, 1000 do
    redis.call(command, key, unpack(elements, from, math.min(from + 999, #elements)))
  end
end
