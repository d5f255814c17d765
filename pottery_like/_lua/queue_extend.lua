-- KEYS: the queue's.  ARGV: number, attempts, lease in milliseconds.  Result: 1, or 0 when the lease is another's.
-- include: queue_shared
if redis.call('HGET', ABOUT, 'n' .. ARGV[1]) ~= ARGV[2] or not redis.call('ZSCORE', LEASED, ARGV[1]) then return 0 end
redis.call('ZADD', LEASED, now() + ARGV[3], ARGV[1])
return 1
