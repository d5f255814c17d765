-- What the scripts on a tag's index share: a sorted set of Redis keys by the time, in microseconds, they were tagged.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function number(score)
  return string.format('%.0f', score)
end
-- How long a tagged value may be on its way: entries that young stay.
local settled = now - 60000000

-- Add a key, and return the two oldest ones, which are given this time: they are to be looked after.
local function add(index, name)
  redis.call('ZADD', index, number(now), name)
  local old = redis.call('ZRANGEBYSCORE', index, '-inf', number(settled), 'LIMIT', 0, 2)
  for _, each in ipairs(old) do
    redis.call('ZADD', index, number(now), each)
  end
  return old
end
