-- KEYS: holders, line.  ARGV: token, its entry in the line ('' = none), letter.  Result: 1 when the token was a holder.
-- include: shared_part
purge()
local held = redis.call('ZREM', KEYS[1], ARGV[3] .. ARGV[1])
if ARGV[2] ~= '' then redis.call('LREM', KEYS[2], 0, ARGV[2]) end
let_in()
return held
