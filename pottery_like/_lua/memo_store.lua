-- KEYS: see memo_part, w included.  ARGV: flags, field, token, value, ms to live (0 = no end), the ms that it took, stale
-- in ms, timeout in ms (0 = none), most entries, rows (each after a blank).
-- Flags: h = let the server remove what has expired, if it can; else that is done here.
-- Result: 1; 2 = the same, and the server can't do that; 0 = not stored, as somebody who began later has stored, or the entry
-- was invalidated meanwhile.
-- include: lease_part
-- include: memo_part
local field, life = ARGV[2], tonumber(ARGV[5])
local rows = ARGV[10]
if MARKS and rows == '' then rows = ' *' end
local since = begun(FLIGHTS, field, ARGV[3])
local stored = since and valid(rows, tonumber(since))
local result = 1
if stored then
  local at = now()
  local head = ''
  if life > 0 or rows ~= '' then
    head = string.format('%.0f %s %s%s', life > 0 and at + life or 0, ARGV[6], since, rows)
  end
  redis.call('HSET', ENTRIES, field, head .. '|' .. ARGV[4])
  if life > 0 then
    local expiry = life + ARGV[7]
    local done = string.find(FLAGS, 'h', 1, true) and redis.pcall('HPEXPIRE', ENTRIES, expiry, 'FIELDS', 1, field)
    if EXPIRIES and (not done or done.err) then
      redis.call('ZADD', EXPIRIES, string.format('%.0f', at + expiry), field)
      if done then result = 2 end
    end
  elseif EXPIRIES then
    redis.call('ZREM', EXPIRIES, field)
  end
  if EXPIRIES then purge(at) end
  if ORDER then
    if not redis.call('ZSCORE', ORDER, field) then
      local over = redis.call('ZCARD', ORDER) - ARGV[9] + 1
      if over > 0 then
        local out = redis.call('ZRANGE', ORDER, 0, math.min(over, 1000) - 1)
        remove(out)
      end
    end
    use(field)
  end
  keep(ARGV[8])
end
land(FLIGHTS, field, ARGV[3], WAKE, '+', stored)
return stored and result or 0
