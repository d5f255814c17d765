-- KEYS: list.  ARGV: start and stop (or ''), step.  Result: the slice's elements, in the list's order.
-- include: list_bounds
local step = tonumber(ARGV[3])
local size, _, lowest, highest = indices(ARGV[1], ARGV[2], step, redis.call('LLEN', KEYS[1]))
local picked, stride = {}, math.abs(step)
if size == 0 then return picked end
local page = math.max(1, math.floor(1000 / stride)) * stride
for from = lowest, highest, page do
  local elements = redis.call('LRANGE', KEYS[1], from, math.min(from + (page - stride), highest))
  for i = 1, #elements, stride do picked[#picked + 1] = elements[i] end
end
return picked
