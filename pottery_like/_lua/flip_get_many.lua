-- KEYS: values.  ARGV: ms to live on (0: as they are), only if fewer ms are left (0: always).  Result: for each, value or nil, and ms left.
local found = {}
local ms, below = tonumber(ARGV[1]), tonumber(ARGV[2])
for index, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  local left = -2
  if value then
    left = redis.call('PTTL', key)
    if ms > 0 and (below == 0 or left < below) then
      redis.call('PEXPIRE', key, ms)
      left = ms
    end
  end
  found[2 * index - 1], found[2 * index] = value, left
end
return found
