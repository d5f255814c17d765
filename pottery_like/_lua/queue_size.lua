-- KEYS: the queue's.  Result: how many items it has: ready, delayed, or with a lease that has ended.
-- include: queue_shared
redis.call('HLEN', ABOUT)
return size(now())
