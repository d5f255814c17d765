-- What the scripts of the shared primitives have in common.  The holders are a sorted set: a letter and a token, by the
-- time in ms when the lease ends.  The letter says how it may be shared: w = alone, r = with other r, s = up to a limit.
-- The line is a list of "token lease channel letter limit", the first to come on the left.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function fits(letter, limit)
  local count = redis.call('ZCARD', KEYS[1])
  if letter == 'w' then return count == 0 end
  if letter == 's' then return count < tonumber(limit) end
  return count == 0 or string.sub(redis.call('ZRANGE', KEYS[1], 0, 0)[1], 1, 1) ~= 'w'
end

local function take(letter, token, lease)
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease), letter .. token)
  if redis.call('PTTL', KEYS[1]) < tonumber(lease) then redis.call('PEXPIRE', KEYS[1], lease) end
end

-- Lets in those at the head of the line who fit, as far as they listen.
local function let_in()
  while true do
    local first = redis.call('LINDEX', KEYS[2], 0)
    if not first then return end
    local token, lease, channel, letter, limit = string.match(first, '^(%x+) (%d+) (%S+) (%a) (%d+)$')
    if not fits(letter, limit) then return end
    redis.call('LPOP', KEYS[2])
    local heard = redis.pcall('PUBLISH', channel, token .. ' in')
    if type(heard) == 'number' and heard > 0 then take(letter, token, lease) end
  end
end

local function purge()
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
end
