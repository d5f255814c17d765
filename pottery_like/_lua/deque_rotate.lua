-- KEYS: list.  ARGV: steps to the right, in decimal; '-' before them: to the left.  Result: nil.
-- What moves is pushed to its new end before it goes from the old one, so nothing is ever missing.
local key, length = KEYS[1], redis.call('LLEN', KEYS[1])
if length < 2 then return nil end
-- Digit by digit, as Lua's numbers are exact only to 2^53.
local steps = 0
for digit in string.gmatch(ARGV[1], '%d') do steps = (steps * 10 + digit) % length end
local right = string.sub(ARGV[1], 1, 1) ~= '-'
if steps > length / 2 then steps, right = length - steps, not right end
if steps == 0 then return nil end
for from = 0, steps - 1, 1000 do
  local to = math.min(from + 999, steps - 1)
  if right then
    local page, reversed = redis.call('LRANGE', key, -to - 1, -from - 1), {}
    for i = #page, 1, -1 do reversed[#reversed + 1] = page[i] end
    redis.call('LPUSH', key, unpack(reversed))
  else
    redis.call('RPUSH', key, unpack(redis.call('LRANGE', key, from, to)))
  end
end
if right then
  redis.call('LTRIM', key, 0, length - 1)
else
  redis.call('LTRIM', key, steps, -1)
end
return nil
