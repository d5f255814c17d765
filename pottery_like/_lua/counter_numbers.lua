-- Numbers as JSON text, and Python's arithmetic on them: integers of any size exactly, floats as IEEE doubles.

local SMALL = 15 -- what has no more characters is exact as a double, and so is the sum of two

-- The text of a stored number (true and false are 1 and 0), or nil when it is none.
local function number(text)
  if string.find(text, '^-?[1-9]%d*$') or text == '0' then return text end
  if text == '-0' or text == 'false' then return '0' end
  if text == 'true' then return '1' end
  if string.find(text, '^-?0%d') then return nil end
  if string.find(text, '^-?%d+%.%d+$') or string.find(text, '^-?%d+[eE][+-]?%d+$')
      or string.find(text, '^-?%d+%.%d+[eE][+-]?%d+$') then
    local value = tonumber(text)
    if value - value == 0 then return text end
  end
  return nil
end

local function integer(text) return not string.find(text, '[.eE]') end

local function negative(text) return string.sub(text, 1, 1) == '-' end

local function negate(text)
  if negative(text) then return string.sub(text, 2) end
  if text == '0' then return text end
  return '-' .. text
end

-- a + sign * b for rows of digits; the result isn't negative.  Fifteen digits at a time: their sum is exact.
local function digits(a, b, sign)
  local limbs, carry, i, j = {}, 0, #a, #b
  for at = math.ceil(math.max(i, j) / 15), 1, -1 do
    local sum = carry
    if i > 0 then sum = sum + tonumber(string.sub(a, math.max(i - 14, 1), i)) end
    if j > 0 then sum = sum + sign * tonumber(string.sub(b, math.max(j - 14, 1), j)) end
    carry = 0
    if sum >= 1e15 then
      sum, carry = sum - 1e15, 1
    elseif sum < 0 then
      sum, carry = sum + 1e15, -1
    end
    limbs[at] = string.format('%015.0f', sum)
    i, j = i - 15, j - 15
  end
  return (string.gsub((carry == 1 and '1' or '') .. table.concat(limbs), '^0+', ''))
end

local function add_integers(a, b)
  if #a <= SMALL and #b <= SMALL then return string.format('%.0f', tonumber(a) + tonumber(b)) end
  local x, y = negative(a) and negate(a) or a, negative(b) and negate(b) or b
  if negative(a) == negative(b) then return (negative(a) and '-' or '') .. digits(x, y, 1) end
  if x == y then return '0' end
  if #x > #y or (#x == #y and x > y) then return (negative(a) and '-' or '') .. digits(x, y, -1) end
  return (negative(b) and '-' or '') .. digits(y, x, -1)
end

-- As Python's repr() writes a float: the fewest digits that read back as the same.
local function show(value)
  local precision, text = -1, nil
  repeat
    precision = precision + 1
    text = string.format('%.' .. precision .. 'e', value)
  until tonumber(text) == value
  local exponent = tonumber(string.match(text, 'e(.+)$'))
  if exponent < -4 or exponent > 15 then return text end
  return string.format('%.' .. math.max(precision - exponent, 1) .. 'f', value)
end

-- The sum; or nil and what Python would complain of.
local function add(a, b)
  if integer(a) and integer(b) then return add_integers(a, b) end
  local x, y = tonumber(a), tonumber(b)
  if x - x ~= 0 or y - y ~= 0 then return nil, 'large' end
  local sum = x + y
  if sum - sum ~= 0 then return nil, 'infinite' end
  return show(sum)
end

-- -1, 0 or 1.  An integer and a float are compared exactly too, not rounded first.
local function compare(a, b)
  if integer(a) and integer(b) then
    local difference = add_integers(a, negate(b))
    if difference == '0' then return 0 end
    return negative(difference) and -1 or 1
  end
  if integer(b) then return -compare(b, a) end
  local y = tonumber(b)
  if integer(a) and #a > SMALL then
    local floor = math.floor(y)
    local order = compare(a, floor == 0 and '0' or string.format('%.0f', floor))
    if order ~= 0 then return order end
    return y > floor and -1 or 0
  end
  local x = tonumber(a)
  if x == y then return 0 end
  return x < y and -1 or 1
end

local function positive(text) return tonumber(text) > 0 end
