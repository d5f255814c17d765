-- KEYS: counter.  ARGV: the id before a block, the block's last id.  Result: nil when granted; else the counter.
-- include: nextid_current
if less(ARGV[1], current) then return current end
redis.call('SET', KEYS[1], ARGV[2])
return false
