-- KEYS: holders.  ARGV: token, lease in ms, letter.  Result: 1 when the token was a holder.
-- include: shared_part
purge()
if not redis.call('ZSCORE', KEYS[1], ARGV[3] .. ARGV[1]) then return 0 end
take(ARGV[3], ARGV[1], ARGV[2])
return 1
