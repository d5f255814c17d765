-- KEYS: value.  ARGV: channels, prefix length, ms to live on (0: as it is), only if fewer ms are left (0: always), [ms, default, [must]].
-- Result: value or nil, ms left (-1: no end, -2: no value), whether the default was stored.
-- include: flip_part
local value = redis.call('GET', KEYS[1])
if not value then
  if #ARGV < 6 then
    return {false, -2, 0}
  end
  local reply = put(KEYS[1], ARGV[6], ARGV[5])
  if reply.err then
    -- A read is answered all the same when the server is full or read-only.
    return ARGV[7] and reply or {false, -2, 0}
  end
  publish('update', KEYS[1])
  return {false, ARGV[5] == '0' and -1 or tonumber(ARGV[5]), 1}
end
local left = redis.call('PTTL', KEYS[1])
local ms, below = tonumber(ARGV[3]), tonumber(ARGV[4])
if ms > 0 and (below == 0 or left < below) then
  redis.call('PEXPIRE', KEYS[1], ms)
  left = ms
end
return {value, left, 0}
