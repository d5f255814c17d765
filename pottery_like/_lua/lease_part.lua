-- The lease on the computation of a cache's entry: a field of the hash of flights, named by the entry, that holds
-- "token deadline waiters clock", and after that, each behind a blank, "token/clock" of those whose leases ended before
-- they were done, the last one first.  All of them may still store what they have found, until a later one stores or
-- the entry is invalidated, which removes the field.  The token "-": the holder has given up.

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local RECORD = '^(%S+) (%d+) (%d+) (%d+)(.*)$'

local function flight(flights, row)
  local record = redis.call('HGET', flights, row)
  if record then return string.match(record, RECORD) end
end

-- The clock as the token's computation began, or nothing if that may not store anything any more.
local function begun(flights, row, token)
  local holder, _, _, since, overtaken = flight(flights, row)
  if holder == token then return since end
  for other, clock in string.gmatch(overtaken or '', '(%S+)/(%d+)') do
    if other == token then return clock end
  end
end

-- Takes the lease for the token; returns nothing, or who else has it and for how many milliseconds.
local function embark(flights, row, token, lease, at, clock, waits)
  local holder, due, waiters, since, overtaken = flight(flights, row)
  -- Its own: the first reply was lost.
  if holder == token then return nil end
  if holder and tonumber(due) > at then
    if waits then
      local record = string.format('%s %s %d %s', holder, due, waiters + 1, since) .. overtaken
      redis.call('HSET', flights, row, record)
    end
    return {holder, due - at, 0}
  end
  overtaken = overtaken or ''
  if holder and holder ~= '-' then overtaken = ' ' .. holder .. '/' .. since .. overtaken end
  -- Most of so many are dead.
  if #overtaken > 4000 then overtaken = string.match(string.sub(overtaken, 1, 4000), '^(.*) ') end
  redis.call('HSET', flights, row, string.format('%s %.0f 0 %.0f', token, at + lease, clock) .. overtaken)
  if redis.call('PTTL', flights) < lease + 3600000 then redis.call('PEXPIRE', flights, lease + 3600000) end
  -- Those of the dead whom nobody asks for again must not pile up.
  local some = redis.call('HRANDFIELD', flights, 3, 'WITHVALUES')
  for i = 1, #some, 2 do
    local _, ended = string.match(some[i + 1], RECORD)
    if ended + 3600000 < at then redis.call('HDEL', flights, some[i]) end
  end
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

-- Gives the lease back and wakes who waits for it; and if something was stored, also who waits for a later one.
local function land(flights, row, token, wake, notice, stored)
  local holder, due, waiters, since, overtaken = flight(flights, row)
  if holder == token then
    if stored or overtaken == '' then
      redis.call('HDEL', flights, row)
    else
      redis.call('HSET', flights, row, string.format('- %.0f 0 0', now()) .. overtaken)
    end
    if waiters ~= '0' then notify(wake, notice, tonumber(waiters)) end
    return
  end
  local first, last = string.find(overtaken or '', ' ' .. token .. '/', 1, true)
  if first then
    -- What was older than what is stored is void.
    local older = stored and '' or string.match(overtaken, '^%d+(.*)$', last + 1)
    local left = string.sub(overtaken, 1, first - 1) .. older
    if holder == '-' and left == '' then
      redis.call('HDEL', flights, row)
    else
      redis.call('HSET', flights, row, table.concat({holder, due, stored and '0' or waiters, since}, ' ') .. left)
    end
    if stored and waiters ~= '0' then
      -- The list of the holder's has its token where this one has its own.
      local from, to = string.find(wake, token, 1, true)
      notify(string.sub(wake, 1, from - 1) .. holder .. string.sub(wake, to + 1), notice, tonumber(waiters))
    end
  end
  -- How many wait for it is not known any more.
  notify(wake, notice, 1)
end
