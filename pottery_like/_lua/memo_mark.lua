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
local words = {'', number}
for i = 3, #ARGV do
  words[#words + 1] = ARGV[i]
  words[#words + 1] = number
end
for i = 1, #words, 1000 do
  local reply = redis.pcall('HSET', MARKS, unpack(words, i, math.min(i + 999, #words)))
  if type(reply) == 'table' and reply.err then
    -- A full server must not keep anything from being invalidated; that is all of it then.
    redis.call('DEL', MARKS)
    return
  end
end
