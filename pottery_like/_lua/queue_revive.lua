-- KEYS: the queue's.  ARGV: how many, priority.  Result: how many dead letters went back to the queue's end.
-- include: queue_shared
local contents = redis.call('LRANGE', DEAD, 0, ARGV[1] - 1)
if #contents == 0 then return 0 end
local puts = redis.call('HINCRBY', ABOUT, 'puts', #contents)
for i, content in ipairs(contents) do
  redis.call('ZADD', READY, ARGV[2], string.format('%014x:%s:', puts - #contents + i, ARGV[2]) .. content)
end
redis.call('LTRIM', DEAD, #contents, -1)
redis.call('DEL', IDLE)
keep_expiry()
signal(WAKE)
return #contents
