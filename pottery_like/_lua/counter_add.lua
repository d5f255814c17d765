-- KEYS: counter[, other].  ARGV: 1 or -1, n, fields and numbers in turn.  Result: 1, or {what is wrong, field, text}.
-- Adds the other's counts, then the numbers; subtracts with -1.  An empty counter takes the other's counts, or else
-- the first n numbers, as they are.
-- include: counter_numbers
-- include: counter_chunks
local fields, amounts = {}, {}
local plus, verbatim = ARGV[1] == '1', tonumber(ARGV[2])
if KEYS[2] then
  local other = redis.call('HGETALL', KEYS[2])
  for i = 1, #other, 2 do fields[#fields + 1], amounts[#amounts + 1] = other[i], other[i + 1] end
  if #fields > 0 then verbatim = #fields end
end
for i = 3, #ARGV, 2 do fields[#fields + 1], amounts[#amounts + 1] = ARGV[i], ARGV[i + 1] end
if not plus or redis.call('EXISTS', KEYS[1]) == 1 then verbatim = 0 end

local counts = {}
call('HMGET', KEYS[1], fields, function(reply, from)
  for i = 1, #reply do counts[fields[from + i - 1]] = reply[i] or '0' end
end)
for i, field in ipairs(fields) do
  local amount, count = number(amounts[i]), number(counts[field])
  if not amount then return {'number', field, amounts[i]} end
  if not count then return {'number', field, counts[field]} end
  if i <= verbatim then
    counts[field] = amounts[i]
  else
    local sum, wrong = add(count, plus and amount or negate(amount))
    if not sum then return {wrong, field, counts[field]} end
    counts[field] = sum
  end
end

local words = {}
for _, field in ipairs(fields) do
  if counts[field] then
    words[#words + 1], words[#words + 2] = field, counts[field]
    counts[field] = nil
  end
end
call('HSET', KEYS[1], words)
return 1
