-- KEYS: counter.  ARGV: ids in use elsewhere, size of a block.  Result: the block's last id, as text.
-- include: nextid_current
if less(current, ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
redis.call('INCRBY', KEYS[1], ARGV[2])
return redis.call('GET', KEYS[1])
