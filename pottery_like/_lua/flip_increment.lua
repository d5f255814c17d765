-- KEYS: value.  ARGV: channels, prefix length, amount, ms that a new one lives (0: no end), what a missing one counts as.
-- Result: the new value, ms left (-1: no end); nil and the old value, if the sum, or that, is no number of 64 bits.
-- include: flip_part
local new = redis.call('EXISTS', KEYS[1]) == 0
if new and ARGV[5] ~= '0' then
  redis.call('SET', KEYS[1], ARGV[5])
end
local reply = redis.pcall('INCRBY', KEYS[1], ARGV[3])
if type(reply) == 'table' then
  if string.find(reply.err, 'not an integer', 1, true) or string.find(reply.err, 'overflow', 1, true) then
    reply = {false, redis.call('GET', KEYS[1])}
  end
  if new then
    redis.call('DEL', KEYS[1])
  end
  return reply
end
if new and ARGV[4] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
publish('update', KEYS[1])
return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}
