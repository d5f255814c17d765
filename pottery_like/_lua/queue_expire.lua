-- KEYS: the queue's.  ARGV: milliseconds; -1 to cancel.  Result: 1 when there was something to do, else 0.
-- include: queue_shared
local done = 0
for i = 1, 5 do
  if ARGV[1] == '-1' then
    done = math.max(done, redis.call('PERSIST', KEYS[i]))
  else
    done = math.max(done, redis.call('PEXPIRE', KEYS[i], ARGV[1]))
  end
end
return done
