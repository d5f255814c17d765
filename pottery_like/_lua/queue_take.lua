-- KEYS: the queue's.  ARGV: lease (0: none), most attempts (0: no end), whether the caller was woken, recheck.
-- Times are in milliseconds.
-- Result: {number and priority, content, attempts}; or the milliseconds until something is due, -1 when nothing is.
-- include: queue_shared
local lease, at = tonumber(ARGV[1]), now()
local putters = redis.call('HEXISTS', ABOUT, 'putters') == 1
local promoted = promote(at, tonumber(ARGV[2]))
local item = redis.call('ZPOPMIN', READY)[1]
if not item then
  redis.call('DEL', WAKE)
  local due = -1
  for _, key in ipairs({DELAYED, LEASED}) do
    local score = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
    if score and (due < 0 or score - at < due) then due = math.max(0, score - at) end
  end
  if promoted then keep_expiry() end
  return due
end
local name, attempts = head(item), 0
local number = string.sub(name, 1, 14)
if lease > 0 then
  attempts = redis.call('HINCRBY', ABOUT, 'n' .. number, 1)
  redis.call('HSET', ABOUT, 'm' .. number, item)
  redis.call('ZADD', LEASED, at + lease, number)
  -- Who waits doesn't know of this lease's end; beyond the recheck it will in time.
  if lease < tonumber(ARGV[4]) and redis.call('ZRANK', LEASED, number) == 0 then signal(WAKE) end
else
  redis.call('HDEL', ABOUT, 'n' .. number)
end
if promoted or lease > 0 then keep_expiry() end
if (promoted or ARGV[3] == '1') and redis.call('EXISTS', READY) == 1 then signal(WAKE) end
if putters then
  -- An unused token says that nobody waits any more.
  if redis.call('EXISTS', ROOM) == 1 then redis.call('HDEL', ABOUT, 'putters') else signal(ROOM) end
end
return {name, string.sub(item, #name + 1), attempts}
