-- KEYS: lock, line[, fence].  ARGV: token, its entry in the line ('' = none).  Result: 1 when the token held the lock.
-- include: lock_part
local value = redis.call('GET', KEYS[1])
if value and string.sub(value, 1, 32) == ARGV[1] then
  while true do
    local first = redis.call('LPOP', KEYS[2])
    if not first then
      redis.call('DEL', KEYS[1])
      return 1
    end
    if pass(first, value) then return 1 end
  end
end
if ARGV[2] ~= '' then redis.call('LREM', KEYS[2], 0, ARGV[2]) end
return 0
