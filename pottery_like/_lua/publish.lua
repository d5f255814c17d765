-- KEYS: container, what was built aside.  Result: 1, or 0 when the container exists already.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('UNLINK', KEYS[2])
  return 0
end
redis.call('RENAME', KEYS[2], KEYS[1])
redis.call('PERSIST', KEYS[1])
return 1
