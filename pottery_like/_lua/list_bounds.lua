-- Included: what a slice means in a list of some length.
local function bound(text, length, low, high, missing)
  local index = tonumber(text)
  if not index then return missing end
  if index < 0 then index = index + length end
  return math.max(low, math.min(high, index))
end

-- Returns the slice's size, its first index in its own direction, and its lowest and highest index.
local function indices(start, stop, step, length)
  local size
  if step > 0 then
    start, stop = bound(start, length, 0, length, 0), bound(stop, length, 0, length, length)
    size = math.max(0, math.ceil((stop - start) / step))
    return size, start, start, start + (size - 1) * step
  end
  start, stop = bound(start, length, -1, length - 1, length - 1), bound(stop, length, -1, length - 1, -1)
  size = math.max(0, math.ceil((start - stop) / -step))
  return size, start, start + (size - 1) * step, start
end
