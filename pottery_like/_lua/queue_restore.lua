-- KEYS: the queue's.  ARGV: number and priority, content, attempts.  Puts back an item whose taker has gone.
-- include: queue_shared
local number = string.sub(ARGV[1], 1, 14)
if ARGV[3] == '0' then
  make_ready(ARGV[1] .. ARGV[2])
else
  if redis.call('HGET', ABOUT, 'n' .. number) ~= ARGV[3] or not redis.call('ZSCORE', LEASED, number) then return end
  redis.call('HINCRBY', ABOUT, 'n' .. number, -1)
  give_back(number, 0)
end
keep_expiry()
signal(WAKE)
