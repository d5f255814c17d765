-- KEYS: values.  ARGV: channels, prefix length, then for each: what it was ('-' missing, '=' and its bytes, '#' and
-- their SHA-1), 1 if it may be missing now, ms to live (0: no end, -1: it is to be removed), the new value.
-- Result: for each, whether it was written, and otherwise what is there instead, or nil: also for a key of another type.
-- include: flip_part
local function same(base, value)
  local kind = string.sub(base, 1, 1)
  if not value then
    return kind == '-'
  end
  return kind == '=' and string.sub(base, 2) == value or kind == '#' and string.sub(base, 2) == redis.sha1hex(value)
end

local found, told = {}, {}
for index, key in ipairs(KEYS) do
  local base, lapsed, ms, new = unpack(ARGV, 4 * index - 1, 4 * index + 2)
  local value, other = redis.pcall('GET', key), false
  if type(value) == 'table' then
    other = string.find(value.err, 'WRONGTYPE', 1, true)
    if not other then
      return value
    end
    value = false
  end
  local remove = ms == '-1'
  -- What is there already was written by this very script, whose reply was lost.
  local done = remove and not value or not remove and value == new
  if not other and (done or same(base, value) or not value and lapsed == '1') then
    if remove then
      redis.call('UNLINK', key)
    else
      local reply = put(key, new, ms)
      if reply.err then
        return reply
      end
    end
    told[#told + 1] = {remove and 'delete' or 'update', key}
    found[2 * index - 1], found[2 * index] = 1, false
  else
    found[2 * index - 1], found[2 * index] = 0, value
  end
end
for _, each in ipairs(told) do
  publish(each[1], each[2])
end
return found
