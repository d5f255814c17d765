-- KEYS: HyperLogLog, temporary.  ARGV: elements.  Result: for each, a 1 when adding it would change nothing, else a 0.
-- A copy serves until an element has changed it.
local found, fresh = {}, false
for i = 1, #ARGV do
  fresh = fresh or redis.call('COPY', KEYS[1], KEYS[2], 'REPLACE') == 1
  local changed = fresh and redis.pcall('PFADD', KEYS[2], ARGV[i])
  if type(changed) == 'table' then
    redis.call('DEL', KEYS[2])
    return changed
  end
  fresh = changed == 0
  found[i] = fresh and '1' or '0'
end
redis.call('DEL', KEYS[2])
return table.concat(found)
