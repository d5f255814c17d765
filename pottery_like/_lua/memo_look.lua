-- KEYS: see memo_part.  ARGV: flags, field, timeout in ms (0 = none), and in one word, with blanks: token, lease in
-- ms, stale in ms, how early (0 = not), the notice by which the caller was woken.
-- Flags: f = compute in any case; r = there is a chance to be early; l = say how long a hit lives; q = don't count it.
-- Result: the entry; 1 = none, and the lease is the token's; {an entry to be renewed under the lease, whether it is still
-- fresh}; {holder, ms left, 0} = who else has the lease; {the entry, the ms that it lives (-1 = no end), 1, 1}.
local field = ARGV[2]
local entry = redis.call('HGET', KEYS[1], field)
-- The usual hit needs nothing of what follows.
if entry and (ARGV[1] == '' or ARGV[1] == 'e') then
  local due = string.byte(entry) == 124 and '0' or string.match(entry, '^(%d+) %d+ %d+|')
  local time = due and due ~= '0' and redis.call('TIME')
  if due == '0' or time and due - time[1] * 1000 - math.floor(time[2] / 1000) > 0 then
    if ARGV[3] ~= '0' then
      redis.call('PEXPIRE', KEYS[1], ARGV[3])
      if KEYS[3] then redis.call('PEXPIRE', KEYS[3], ARGV[3]) end
    end
    return entry
  end
end
-- include: lease_part
-- include: memo_part
local token, lease, stale, early, notice = string.match(ARGV[4], '^(%S+) (%d+) (%d+) (%S+) ?(.*)$')
if WAKE then notify(WAKE, notice, 1) end
local at, left, fresh, renew = now(), -1, 1, false
-- Where there are marks, an entry without rows was stored by who has none, and no mark can tell whether it is valid.
if entry and string.byte(entry) == 124 and MARKS then
  remove({field})
  entry = nil
elseif entry and string.byte(entry) ~= 124 then
  local due, took, since, rows = string.match(entry, '^(%d+) (%d+) (%d+)([^|]*)|')
  if due ~= '0' then
    left = due - at
    fresh = left > 0 and 1 or 0
    renew = left <= took * early
  end
  if not valid(rows, tonumber(since)) or fresh == 0 and -left >= tonumber(stale) then
    remove({field})
    entry, renew = nil, false
  end
end
local forced = string.find(FLAGS, 'f', 1, true)
local reply = entry
if forced then redis.call('HDEL', FLIGHTS, field) end
if forced or renew or not entry then
  local busy = embark(FLIGHTS, field, token, tonumber(lease), at, clock(), not entry)
  if not busy then
    reply = entry and not forced and {entry, fresh} or 1
  else
    reply = entry or busy
  end
end
local hit = reply == entry
if hit and ORDER then use(field) end
if STATISTICS and not string.find(FLAGS, 'q', 1, true) and (hit or reply == 1 or #reply == 2) then
  redis.pcall('HINCRBY', STATISTICS, hit and 'hits' or 'misses', 1)
end
keep(ARGV[3])
if hit and string.find(FLAGS, 'l', 1, true) then
  local all = redis.call('PTTL', ENTRIES)
  if all >= 0 and (left == -1 or all < left) then left = all end
  return {entry, left, 1, 1}
end
return reply
