-- KEYS: holders.  ARGV: token, letter.  Result: ms until the token's lease ends, 0 when it is no holder.
-- include: shared_part
local ends = redis.call('ZSCORE', KEYS[1], ARGV[2] .. ARGV[1])
return ends and math.max(0, ends - now) or 0
