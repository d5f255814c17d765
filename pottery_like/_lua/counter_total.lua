-- KEYS: counter.  Result: the sum of all counts; or all counts, when one of them is no integer.
-- include: counter_numbers
local counts, total, small = redis.call('HVALS', KEYS[1]), '0', 0
for _, text in ipairs(counts) do
  local count = number(text)
  if not count or not integer(count) then return counts end
  if #count <= SMALL and math.abs(small) < 1e15 then
    small = small + tonumber(count)
  else
    total = add_integers(total, count)
  end
end
return add_integers(total, string.format('%.0f', small))
