-- KEYS: a tag's index, or a value's flights.  ARGV: its type, 1 to keep the index's young entries.  Result: OK.
-- include: flip_tag_part
if redis.call('TYPE', KEYS[1]).ok == ARGV[1] then
  if ARGV[2] == '1' then
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', number(settled))
  else
    redis.call('UNLINK', KEYS[1])
  end
end
return redis.status_reply('OK')
