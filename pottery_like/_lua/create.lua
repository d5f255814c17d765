-- KEYS: container.  ARGV: command, its words.  Result: 1, or 0 when the container exists already.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
return 1
