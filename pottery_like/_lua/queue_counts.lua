-- KEYS: the queue's.  Result: how many items are ready, delayed, leased, dead, unfinished.
-- include: queue_shared
local counts = redis.call('HMGET', ABOUT, 'puts', 'done')
local at = now()
local ended, due = redis.call('ZCOUNT', LEASED, '-inf', at), redis.call('ZCOUNT', DELAYED, '-inf', at)
return {
  redis.call('ZCARD', READY) + ended + due,
  redis.call('ZCARD', DELAYED) - due,
  redis.call('ZCARD', LEASED) - ended,
  redis.call('LLEN', DEAD),
  (counts[1] or 0) - (counts[2] or 0),
}
