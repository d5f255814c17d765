-- Included by the scripts of filters with a window, after bloom_bits.
-- KEYS: bits of the even periods, parameters, bits of the odd periods.  ARGV: parameters, the window in milliseconds.
--
-- Each period has a filter of its own, which counts until the end of the next one; then its key is wanted again.  The
-- hash beside the bits says which period a key's bits are of: the moment of its expiry is not exact enough for that.
local window = tonumber(ARGV[2])
local now = redis.call('TIME')
local period = math.floor((now[1] * 1000 + now[2] / 1000) / window)
local current = period % 2 == 0 and 1 or 3
local names = {[1] = 'even', [3] = 'odd'}

local function text(number) return string.format('%.0f', number) end

-- Whether a key has bits that count now.
local function live(index)
  local wanted = index == current and period or period - 1
  return redis.call('HGET', KEYS[2], names[index]) == text(wanted)
end

-- A function that tells whether a bit counts.
local function counting(index, lookups)
  local set = reader(KEYS[index], lookups)
  return live(index) and set or function() return false end
end
