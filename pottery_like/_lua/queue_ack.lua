-- KEYS: the queue's.  ARGV: number, attempts.  Result: 1 when the item is finished, 0 when the lease is another's.
-- include: queue_shared
local attempts = redis.call('HGET', ABOUT, 'n' .. ARGV[1])
-- Nobody has heard of it any more: it was finished already, perhaps by this very call, whose reply was lost.
if not attempts then return 1 end
if attempts ~= ARGV[2] or redis.call('ZREM', LEASED, ARGV[1]) == 0 then return 0 end
redis.call('HDEL', ABOUT, 'n' .. ARGV[1], 'm' .. ARGV[1])
finish()
return 1
