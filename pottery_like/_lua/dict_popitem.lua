-- KEYS: hash.  Result: field and value removed, or nil when there is none.
-- A small hash keeps its fields in the order of insertion: the last goes, as with dict.  A large one keeps none.
local item
if redis.call('HLEN', KEYS[1]) <= 128 then
  local all = redis.call('HGETALL', KEYS[1])
  if #all == 0 then return nil end
  item = {all[#all - 1], all[#all]}
else
  item = redis.call('HRANDFIELD', KEYS[1], 1, 'WITHVALUES')
end
redis.call('HDEL', KEYS[1], item[1])
return item
