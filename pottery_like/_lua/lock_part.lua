-- What the lock's scripts share.  The lock's value is the holder's token (32 characters) and, with one master, a
-- blank and its fencing token.  The line is a list of "token lease channel", the first to come on the left.

-- Returns the next fencing token.  A lock that is passed on counts up inside the 256 numbers that were reserved when
-- it was taken free, as far as Lua's numbers are exact.  The counter starts from the clock, so that it goes on upwards
-- after having expired.
local function mint(previous)
  if not KEYS[3] then return '' end
  local last = previous and tonumber(string.match(previous, ' (%d+)$'))
  if last and last < 9007199254740991 and last % 256 < 255 then return string.format('%.0f', last + 1) end
  local fence = redis.call('INCRBY', KEYS[3], 256)
  if fence == 256 then
    local now = redis.call('TIME')
    fence = (now[1] * 1000000 + now[2]) * 1
    fence = fence - fence % 256
    redis.call('SET', KEYS[3], string.format('%.0f', fence), 'PX', 2592000000)
  end
  return string.format('%.0f', fence)
end

local function take(token, lease, fence)
  redis.call('SET', KEYS[1], fence == '' and token or token .. ' ' .. fence, 'PX', lease)
end

-- Passes the lock to the waiter in this entry of the line.  Returns its lease, or nothing when nobody listens.
local function pass(entry, previous)
  local token, lease, channel = string.match(entry, '^(%x+) (%d+) (.+)$')
  local fence = mint(previous)
  local heard = redis.pcall('PUBLISH', channel, token .. ' ' .. fence)
  if type(heard) ~= 'number' or heard == 0 then return nil end
  take(token, lease, fence)
  return lease
end
