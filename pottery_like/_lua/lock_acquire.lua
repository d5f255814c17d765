-- KEYS: lock, line[, fence].  ARGV: token, lease in ms, channel ('' = don't wait), '1' when it may have run before.
-- Result: the fence ('' without), held; or {ms until the holder's lease ends (-1 = unknown), the holder, if known}.
-- include: lock_part
local entry = ARGV[3] ~= '' and table.concat({ARGV[1], ARGV[2], ARGV[3]}, ' ')
local again = ARGV[4] == '1'
-- Behind others nothing more is worth asking at first: who waits for a while looks again.
if entry and not again and redis.call('RPUSHX', KEYS[2], entry) > 0 then return {-1, ''} end
local left = redis.call('PTTL', KEYS[1])
local holder = ''
if left ~= -2 and again then
  holder = redis.call('GET', KEYS[1])
  if string.sub(holder, 1, 32) == ARGV[1] then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return string.match(holder, ' (%d+)$') or ''
  end
end
while left == -2 do
  local first = redis.call('LPOP', KEYS[2])
  if not first or first == entry then
    local fence = mint()
    take(ARGV[1], ARGV[2], fence)
    return fence
  end
  local lease = pass(first)
  if lease then
    left = tonumber(lease)
    holder = string.sub(first, 1, 32)
  end
end
if entry and not (again and redis.call('LPOS', KEYS[2], entry)) then
  if redis.call('RPUSH', KEYS[2], entry) == 1 or again then redis.call('PEXPIRE', KEYS[2], 600000) end
end
return {left, holder}
