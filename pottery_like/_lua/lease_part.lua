-- The lease on the computation of a cache's entry: a field of the hash of flights, named by the entry, that holds
-- "token deadline waiters clock".  It stays after the deadline, so that a slow computation may still store what it has
-- found, until somebody else takes the lease or the entry is invalidated.

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function flight(flights, row)
  local record = redis.call('HGET', flights, row)
  if record then return string.match(record, '^(%S+) (%d+) (%d+) (%d+)$') end
end

-- Takes the lease for the token; returns nothing, or who else has it and for how many milliseconds.
local function embark(flights, row, token, lease, at, clock, waits)
  local holder, due, waiters, since = flight(flights, row)
  -- Its own: the first reply was lost.
  if holder == token then return nil end
  if holder and tonumber(due) > at then
    if waits then redis.call('HSET', flights, row, string.format('%s %s %d %s', holder, due, waiters + 1, since)) end
    return {holder, due - at, 0}
  end
  redis.call('HSET', flights, row, string.format('%s %.0f 0 %.0f', token, at + lease, clock))
  redis.call('PEXPIRE', flights, lease + 3600000)
  return nil
end

-- Puts the notice up for those who wait on this list; each of them puts it up again for the next.
local function notify(wake, notice, waiters)
  local notices = {}
  for i = 1, math.min(waiters, 64) do notices[i] = notice end
  -- Without memory for it they wait until the lease would have ended.
  redis.pcall('RPUSH', wake, unpack(notices))
  redis.call('PEXPIRE', wake, 10000)
end

-- Gives the lease back and wakes who waits for it; whether it was still the token's, and the clock as it began.
local function land(flights, row, token, wake, notice)
  local holder, _, waiters, since = flight(flights, row)
  if holder ~= token then
    -- How many wait for it is not known any more.
    notify(wake, notice, 1)
    return false
  end
  redis.call('HDEL', flights, row)
  if waiters ~= '0' then notify(wake, notice, tonumber(waiters)) end
  return true, tonumber(since)
end
