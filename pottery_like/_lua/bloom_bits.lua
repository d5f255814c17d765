-- Included by the filters' scripts.  KEYS[1] holds bits, KEYS[2] the parameters beside them; ARGV[1] is what they must be.

-- The parameters at a key, in an array, when they are others; a filter of Pottery's has none.  And whether it has any.
local function foreign(key)
  local there = redis.call('HGET', key, 'parameters')
  return there and there ~= ARGV[1] and {there} or nil, there ~= false
end

-- The same for a layout that isn't Pottery's: bits without parameters are not such a filter's.
local function strange()
  if redis.call('EXISTS', KEYS[2]) == 0 and redis.call('STRLEN', KEYS[1]) > 0 then return {''} end
  return foreign(KEYS[2])
end

local function offset(packed, index)
  local a, b, c, d = string.byte(packed, 4 * index - 3, 4 * index)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

-- Which of KEYS an offset belongs to.
local function place(packed, index)
  if packed == '' then return 1 end
  local a, b = string.byte(packed, 2 * index - 1, 2 * index)
  return a * 256 + b
end

-- A function that tells whether a bit is set.  Below so many bytes the whole string costs less than a command per bit.
local function reader(key, lookups)
  if redis.call('STRLEN', key) > 32 * lookups then
    return function(at) return redis.call('GETBIT', key, at) == 1 end
  end
  local bytes = redis.call('GET', key) or ''
  local byte, band, shift, floor = string.byte, bit.band, bit.rshift, math.floor
  return function(at)
    local found = byte(bytes, floor(at / 8) + 1)
    return found ~= nil and band(found, shift(128, at % 8)) ~= 0
  end
end

-- Two functions: one notes a bit to be set, the other sets what is left.  Both say whether a bit was not set before.
local function writer(key)
  local words, count, changed = {}, 0, false
  local function flush()
    if count > 0 then
      for _, before in ipairs(redis.call('BITFIELD', key, unpack(words, 1, count))) do
        changed = changed or before == 0
      end
    end
    count = 0
    return changed
  end
  local function note(at)
    words[count + 1], words[count + 2], words[count + 3], words[count + 4] = 'SET', 'u1', at, 1
    count = count + 4
    if count == 4000 then flush() end
    return changed
  end
  return note, flush
end

-- Milliseconds left to the filter; not positive when it has no expiry.
local function remaining()
  local left = redis.call('PTTL', KEYS[2])
  return left == -2 and redis.call('PTTL', KEYS[1]) or left
end

-- What follows a write that made a key: the parameters are put beside the bits, and all keys expire together.
local function settle(own, left)
  redis.call('HSETNX', KEYS[2], 'parameters', ARGV[1])
  if left > 0 then
    for i = 1, own do redis.call('PEXPIRE', KEYS[i], left) end
  end
end

-- Sets bits in the filter's own keys; whether one was not set before.
local function set_bits(own, packed, places)
  local note, flush = {}, {}
  for i = 1, own do
    if i ~= 2 then note[i], flush[i] = writer(KEYS[i]) end
  end
  for i = 1, #packed / 4 do note[place(places, i)](offset(packed, i)) end
  local changed = false
  for _, finish in pairs(flush) do changed = finish() or changed end
  return changed
end
