-- Shared by the scripts of RedisQueue.
-- KEYS: about (hash); ready, delayed, leased (sorted sets); dead (list); wake, room, idle (lists that callers block on).
-- An item in ready and delayed is "<number>:<priority>:<content>", numbers being 14 hexadecimal digits, so that equal
-- priorities are first in, first out.  leased has the numbers only, by the time at which the lease ends; the item
-- itself is in about then, under "m<number>", and how often it was handed out under "n<number>".
local ABOUT, READY, DELAYED, LEASED, DEAD, WAKE, ROOM, IDLE = unpack(KEYS)

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- One token is enough: whoever is woken by it wakes the next, if there is cause.  It need not last: who comes later
-- looks at the queue itself before waiting.
local function signal(list)
  if redis.call('EXISTS', list) == 0 then
    redis.call('RPUSH', list, '1')
    redis.call('PEXPIRE', list, 60000)
  end
end

local function head(item)
  return string.match(item, '^%x+:[^:]+:')
end

local function make_ready(item)
  redis.call('ZADD', READY, string.match(item, ':([^:]+):'), item)
end

local function finish()
  if redis.call('HINCRBY', ABOUT, 'done', 1) == tonumber(redis.call('HGET', ABOUT, 'puts')) then signal(IDLE) end
end

-- A leased item goes back to the queue, or to the dead letters after its last attempt; whether it is dead.
local function give_back(number, attempts, at)
  local item = redis.call('HGET', ABOUT, 'm' .. number)
  redis.call('ZREM', LEASED, number)
  redis.call('HDEL', ABOUT, 'm' .. number)
  if attempts > 0 and tonumber(redis.call('HGET', ABOUT, 'n' .. number)) >= attempts then
    redis.call('HDEL', ABOUT, 'n' .. number)
    redis.call('RPUSH', DEAD, string.sub(item, #head(item) + 1))
    finish()
    return true
  end
  if at then redis.call('ZADD', DELAYED, at, item) else make_ready(item) end
  return false
end

-- What is due becomes ready: delayed items, and leased ones whose consumer has let the lease run out.
local function promote(at, attempts)
  if redis.call('EXISTS', DELAYED, LEASED) == 0 then return false end
  local due = redis.call('ZRANGEBYSCORE', DELAYED, '-inf', at, 'LIMIT', 0, 100)
  for _, item in ipairs(due) do
    redis.call('ZREM', DELAYED, item)
    make_ready(item)
  end
  local ended = redis.call('ZRANGEBYSCORE', LEASED, '-inf', at, 'LIMIT', 0, 100)
  for _, number in ipairs(ended) do give_back(number, attempts) end
  return #due + #ended > 0
end

local function size(at)
  return redis.call('ZCARD', READY) + redis.call('ZCARD', DELAYED) + redis.call('ZCOUNT', LEASED, '-inf', at)
end

-- All keys of a queue expire together, those included that were made after the expiry was set.
local function keep_expiry()
  local left = redis.call('PTTL', ABOUT)
  if left > 0 then
    for i = 2, 5 do redis.call('PEXPIRE', KEYS[i], left) end
  end
end
