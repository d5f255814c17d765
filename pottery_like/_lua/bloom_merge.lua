-- KEYS: bits, parameters, further bits; then the same of other filters, the temporary ones last.
-- ARGV: parameters, how many keys a filter has, OR or AND, 1 when the first filter takes part (else it is replaced),
-- offsets to set, which of KEYS they belong to, how many filters are temporary, then for each of their strings that
-- isn't there yet: which of KEYS, and the bytes.
-- Result: nothing; or the other parameters that one of the filters has, in an array.
-- include: bloom_bits
local own, verb = tonumber(ARGV[2]), ARGV[3]
for first = 1, #KEYS, own do
  local other = foreign(KEYS[first + 1])
  if other then return other end
  for i = first, first + own - 1 do
    if i ~= first + 1 then redis.call('STRLEN', KEYS[i]) end
  end
end
local left = remaining()
for i = 8, #ARGV, 2 do redis.call('SET', KEYS[tonumber(ARGV[i])], ARGV[i + 1]) end
for segment = 1, own do
  if segment ~= 2 then
    local sources = {}
    for i = ARGV[4] == '1' and segment or segment + own, #KEYS, own do sources[#sources + 1] = KEYS[i] end
    redis.call('BITOP', verb, KEYS[segment], unpack(sources))
  end
end
for i = #KEYS - own * ARGV[7] + 1, #KEYS do redis.call('DEL', KEYS[i]) end
set_bits(own, ARGV[5], ARGV[6])
settle(own, left)
