-- KEYS: all keys of a container.  ARGV: milliseconds.  Result: 1, or 0 when there is none.
-- All get the same deadline, so that none outlives another.
local now = redis.call('TIME')
local deadline = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[1]
local any = 0
for i = 1, #KEYS do
  if redis.call('PEXPIREAT', KEYS[i], string.format('%.0f', deadline)) == 1 then any = 1 end
end
return any
