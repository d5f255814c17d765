-- KEYS: values.  ARGV: channels, prefix length, ms to live (0: no end), the new values.  Result: OK.
-- include: flip_part
for index, key in ipairs(KEYS) do
  local reply = put(key, ARGV[index + 3], ARGV[3])
  if reply.err then
    return reply
  end
end
for _, key in ipairs(KEYS) do
  publish('update', key)
end
return redis.status_reply('OK')
