-- KEYS: index.  ARGV: 1 to keep young ones, then keys, each followed by the time it was tagged.  Result: OK.
-- include: flip_tag_part
for index = 2, #ARGV, 2 do
  local name, score = ARGV[index], tonumber(ARGV[index + 1])
  local current = tonumber(redis.call('ZSCORE', KEYS[1], name) or nil)
  if current == score and (ARGV[1] == '0' or score < settled) then
    redis.call('ZREM', KEYS[1], name)
  end
end
return redis.status_reply('OK')
