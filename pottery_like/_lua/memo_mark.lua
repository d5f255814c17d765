-- KEYS: see memo_part, m included.  ARGV: flags, timeout in ms (0 = none), rows...: all of their entries become invalid.
-- include: lease_part
-- include: memo_part
local last = redis.call('HGET', MARKS, '')
-- No clock, no valid entry.
if not last then return end
local number = string.format('%.0f', last + 1)
-- Beyond so many rows, all entries that have any are given up instead.
if redis.call('HLEN', MARKS) > 10000 then
  redis.call('DEL', MARKS)
  redis.call('HSET', MARKS, '', number, '*', number)
  keep(ARGV[2])
  return
end
redis.call('HSET', MARKS, '', number)
for i = 3, #ARGV do redis.call('HSET', MARKS, ARGV[i], number) end
