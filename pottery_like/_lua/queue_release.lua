-- KEYS: the queue's.  ARGV: number, attempts, delay in milliseconds, most attempts (0: no end).
-- Result: 1 when the item is back in the queue, 2 when it is a dead letter, 0 when the lease is another's.
-- include: queue_shared
if redis.call('HGET', ABOUT, 'n' .. ARGV[1]) ~= ARGV[2] or not redis.call('ZSCORE', LEASED, ARGV[1]) then return 0 end
local delay = tonumber(ARGV[3])
local dead = give_back(ARGV[1], tonumber(ARGV[4]), delay > 0 and now() + delay)
keep_expiry()
if dead then return 2 end
signal(WAKE)
return 1
