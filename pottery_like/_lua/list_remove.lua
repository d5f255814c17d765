-- KEYS: list.  ARGV: texts.  Result: 1 after removing the first element that is one of them, or 0 when there is none.
local best, text
for i = 1, #ARGV do
  -- To MAXLEN, zero is no limit.
  if best == 0 then break end
  local found = redis.call('LPOS', KEYS[1], ARGV[i], 'MAXLEN', best or 0)
  if found then best, text = found, ARGV[i] end
end
return best and redis.call('LREM', KEYS[1], 1, text) or 0
