-- Included by the scripts of filters with a window, after bloom_bits.
-- KEYS: bits of the even periods, parameters, bits of the odd periods.  ARGV: parameters, the window in milliseconds.
--
-- Each period has a filter of its own, which expires at the end of the next one, just when its key is wanted again.
local window = tonumber(ARGV[2])
local now = redis.call('TIME')
local period = math.floor((now[1] * 1000 + now[2] / 1000) / window)
local current = period % 2 == 0 and 1 or 3

local function expire()
  local deadline = string.format('%.0f', (period + 2) * window)
  redis.call('HSETNX', KEYS[2], 'parameters', ARGV[1])
  redis.call('PEXPIREAT', KEYS[current], deadline)
  redis.call('PEXPIREAT', KEYS[2], deadline)
end
