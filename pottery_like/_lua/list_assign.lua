-- KEYS: list[, another list].  ARGV: start and stop (or ''), step, new elements unless they are the other list's.
-- Result: nil; or the number of new elements and the extended slice's size, when they differ.
-- include: list_pages
-- include: list_splice
-- include: list_gates
-- include: list_bounds
local key, step = KEYS[1], tonumber(ARGV[3])
local length = redis.call('LLEN', key)
local new = KEYS[2] and read(KEYS[2], 0, redis.call('LLEN', KEYS[2]) - 1) or {unpack(ARGV, 4)}
local size, first, lowest, highest = indices(ARGV[1], ARGV[2], step, length)
if step ~= 1 and #new ~= size then return {#new, size} end
if size == 0 then lowest, highest = first, first - 1 end
if #new == size and size <= 128 then
  for i = 1, size do redis.call('LSET', key, first + (i - 1) * step, new[i]) end
  return nil
end
if #new > 0 and length > 0 then growing(key) end
if math.abs(step) > 1 then
  local region = read(key, lowest, highest)
  for i = 1, size do region[first + (i - 1) * step - lowest + 1] = new[i] end
  new = region
elseif step == -1 then
  new = backwards(new)
end
splice(key, length, lowest, highest + 1, new)
return nil
