-- KEYS: the queue's.  ARGV: content, priority, delay, maxsize, whether the caller waits, whether it was woken, recheck.
-- Times are in milliseconds.  Result: 1, or 0 when the queue is full.
-- include: queue_shared
local maxsize, delay, at = tonumber(ARGV[4]), tonumber(ARGV[3]), now()
if maxsize > 0 and size(at) >= maxsize then
  if ARGV[5] == '1' then
    redis.call('HSET', ABOUT, 'putters', 1)
    redis.call('DEL', ROOM)
  end
  return 0
end
local puts = redis.call('HINCRBY', ABOUT, 'puts', 1)
redis.call('DEL', IDLE)
local item = string.format('%014x:%s:', puts, ARGV[2]) .. ARGV[1]
if delay > 0 then
  redis.call('ZADD', DELAYED, at + delay, item)
  -- Who waits doesn't know of this item; beyond the recheck it will in time.
  if delay < tonumber(ARGV[7]) and redis.call('ZRANK', DELAYED, item) == 0 then signal(WAKE) end
else
  redis.call('ZADD', READY, ARGV[2], item)
  signal(WAKE)
end
keep_expiry()
if ARGV[6] == '1' then
  redis.call('HSET', ABOUT, 'putters', 1)
  if size(at) < maxsize then signal(ROOM) end
end
return 1
