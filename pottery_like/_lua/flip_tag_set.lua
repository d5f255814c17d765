-- KEYS: value, indexes.  ARGV: channels, prefix length, ms to live (0: no end), the new value.  Result: OK.
-- Where all keys are on one server: the old entries' keys are looked after too.
-- include: flip_part
-- include: flip_tag_part
for index = 2, #KEYS do
  for _, name in ipairs(add(KEYS[index], KEYS[1])) do
    if redis.call('EXISTS', name) == 0 then
      redis.call('ZREM', KEYS[index], name)
    end
  end
end
local reply = put(KEYS[1], ARGV[4], ARGV[3])
if reply.err then
  return reply
end
publish('update', KEYS[1])
return redis.status_reply('OK')
