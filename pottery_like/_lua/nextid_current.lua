-- Part of scripts.  Defines current, a counter's text, and less(a, b), which compares two of them: as text, shorter
-- before longer, since numbers are exact to 2^53 only.
local current = redis.call('GET', KEYS[1]) or '0'
if current ~= '0' and not current:match('^[1-9]%d*$') then return redis.error_reply('ERR value is not an id') end
local function less(a, b) return #a < #b or (#a == #b and a < b) end
