-- KEYS: the queue's.  Result: 1, or 0 when all that was put is finished.
-- include: queue_shared
local counts = redis.call('HMGET', ABOUT, 'puts', 'done')
if tonumber(counts[1] or 0) <= tonumber(counts[2] or 0) then return 0 end
finish()
return 1
