-- KEYS: HyperLogLog, others, temporary ones.  ARGV: how many are temporary, the bytes for each, elements.
-- Result: nothing.
local temporary = tonumber(ARGV[1])
for i = 1, #KEYS - temporary do redis.call('STRLEN', KEYS[i]) end
for i = 1, temporary do redis.call('SET', KEYS[#KEYS - temporary + i], ARGV[i + 1]) end
local reply = redis.pcall('PFMERGE', unpack(KEYS))
for i = #KEYS - temporary + 1, #KEYS do redis.call('DEL', KEYS[i]) end
if type(reply) == 'table' and reply.err then return reply end
if #ARGV > temporary + 1 then redis.call('PFADD', KEYS[1], unpack(ARGV, temporary + 2)) end
