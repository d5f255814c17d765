-- KEYS: entry, flights[, wake].  ARGV: row, token, lease in ms, the notice by which the caller was woken.
-- Result: {value, ms to live}; 1 = not there, and the lease is the token's; {holder, ms left, 0} = who else has it.
-- include: lease_part
if KEYS[3] then notify(KEYS[3], ARGV[4], 1) end
local value = redis.call('GET', KEYS[1])
if value then return {value, redis.call('PTTL', KEYS[1])} end
return embark(KEYS[2], ARGV[1], ARGV[2], tonumber(ARGV[3]), now(), 0, true) or 1
