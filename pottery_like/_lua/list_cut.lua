-- KEYS: list.  ARGV: start and stop (or ''), step.  Result: nil, after removing the slice.
-- include: list_pages
-- include: list_splice
-- include: list_gates
-- include: list_bounds
local key, step = KEYS[1], tonumber(ARGV[3])
local length = redis.call('LLEN', key)
local size, _, lowest, highest = indices(ARGV[1], ARGV[2], step, length)
if size == 0 then return nil end
local kept, stride = {}, math.abs(step)
if stride > 1 then
  for i, element in ipairs(read(key, lowest, highest)) do
    if (i - 1) % stride ~= 0 then kept[#kept + 1] = element end
  end
end
removing(key)
splice(key, length, lowest, highest + 1, kept)
return nil
