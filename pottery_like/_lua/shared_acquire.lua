-- KEYS: holders, line.  ARGV: token, lease in ms, channel ('' = don't wait), '1' when it may have run before, letter,
-- limit.  Result: '', held; or {ms until the first of the leases ends, '?'}.
-- include: shared_part
local entry = ARGV[3] ~= '' and table.concat({ARGV[1], ARGV[2], ARGV[3], ARGV[5], ARGV[6]}, ' ')
local again = ARGV[4] == '1'
local member = ARGV[5] .. ARGV[1]
purge()
if not (again and redis.call('ZSCORE', KEYS[1], member)) then
  let_in()
end
if again and redis.call('ZSCORE', KEYS[1], member) or
    redis.call('LLEN', KEYS[2]) == 0 and fits(ARGV[5], ARGV[6]) then
  take(ARGV[5], ARGV[1], ARGV[2])
  return ''
end
if entry and not (again and redis.call('LPOS', KEYS[2], entry)) then
  if redis.call('RPUSH', KEYS[2], entry) == 1 or again then redis.call('PEXPIRE', KEYS[2], 600000) end
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {first[2] and math.max(1, first[2] - now) or 100, '?'}
