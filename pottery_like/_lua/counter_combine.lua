-- KEYS: counter[, other].  ARGV: verb, the other's fields and numbers in turn unless it is a key.
-- Result: 1, or {what is wrong, field, text}.  Verbs: add, subtract, union (the larger), intersect (the smaller).
-- In the end the counter keeps only what is positive.
-- include: counter_numbers
-- include: counter_chunks
local verb, mine, theirs, new = ARGV[1], {}, {}, {}
local others, touched = {}, {} -- touched: whatever may have to be written or removed
local stored = redis.call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do
  local field, count = stored[i], number(stored[i + 1])
  if not count then return {'number', field, stored[i + 1]} end
  mine[field] = stored[i + 1]
  if verb == 'intersect' or not positive(count) then touched[#touched + 1] = field end
end
local given, first = ARGV, 2
if KEYS[2] then given, first = redis.call('HGETALL', KEYS[2]), 1 end
for i = first, #given, 2 do
  if not number(given[i + 1]) then return {'number', given[i], given[i + 1]} end
  others[#others + 1] = given[i]
  theirs[given[i]] = given[i + 1]
end

if verb == 'intersect' then
  for _, field in ipairs(touched) do
    local other = theirs[field] or '0'
    if compare(number(other), number(mine[field])) < 0 then new[field] = other end
  end
else
  for _, field in ipairs(others) do
    local count, amount = number(mine[field] or '0'), number(theirs[field])
    if verb == 'union' then
      if compare(count, amount) < 0 then new[field] = theirs[field] end
    else
      local sum, wrong = add(count, verb == 'add' and amount or negate(amount))
      if not sum then return {wrong, field, mine[field] or '0'} end
      new[field] = sum
    end
    if not mine[field] or positive(count) then touched[#touched + 1] = field end
  end
end

local changed, gone = {}, {}
for _, field in ipairs(touched) do
  local count = new[field] or mine[field]
  if count and positive(number(count)) then
    if count ~= mine[field] then changed[#changed + 1], changed[#changed + 2] = field, count end
  elseif mine[field] then
    gone[#gone + 1] = field
  end
end
call('HSET', KEYS[1], changed)
call('HDEL', KEYS[1], gone)
return 1
