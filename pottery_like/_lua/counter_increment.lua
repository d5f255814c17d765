-- KEYS: counter.  ARGV: field, amount[, count that was read, count to write if it still is].
-- Result: the new count, or {what is wrong, field, text}.
-- include: counter_numbers
local stored = redis.call('HGET', KEYS[1], ARGV[1]) or '0'
local count = number(stored)
if not count then return {'number', ARGV[1], stored} end
local new, wrong
if ARGV[3] and integer(count) == integer(ARGV[3]) and compare(count, ARGV[3]) == 0 then
  new = ARGV[4]
else
  new, wrong = add(count, number(ARGV[2]))
  if not new then return {wrong, ARGV[1], stored} end
end
redis.call('HSET', KEYS[1], ARGV[1], new)
return new
