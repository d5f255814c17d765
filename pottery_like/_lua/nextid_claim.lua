-- KEYS: counter.  ARGV: the id before the block, the block's last id.  Result: nil when claimed; else the counter.
-- Ids are compared as text, shorter before longer: as numbers they would be exact to 2^53 only.
local current = redis.call('GET', KEYS[1])
if current then
  if current ~= '0' and not current:match('^[1-9]%d*$') then
    return redis.error_reply('ERR value is not an id')
  end
  if #current > #ARGV[1] or (#current == #ARGV[1] and current > ARGV[1]) then return current end
end
redis.call('SET', KEYS[1], ARGV[2])
return false
