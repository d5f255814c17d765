-- Included by the scripts of scalable filters, after bloom_bits.
-- KEYS: bits, parameters.  ARGV: parameters, elements of the first stage, its bits per element, its hash functions,
-- then two 48-bit hashes for each element.
--
-- The stages lie one after the other in the bits.  Each holds twice as many elements as the one before, at half its
-- false-positive rate, which takes one more hash function and 1 / ln 2 more bits per element.  The hash beside the
-- bits says which stage is being filled and how many elements it has.

local stages = {}
do
  local base, capacity, density, hashes = 0, tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
  while true do
    local size = math.ceil(capacity * density)
    if base + size > 4294967296 then break end
    stages[#stages + 1] = {base = base, size = size, capacity = capacity, hashes = hashes}
    base, capacity, density, hashes = base + size, capacity * 2, density + 1.4426950408889634, hashes + 1
  end
end

local function state()
  local there = redis.call('HMGET', KEYS[2], 'stage', 'count')
  return tonumber(there[1] or 1), tonumber(there[2] or 0)
end

local function number(packed, first)
  local a, b, c, d, e, f = string.byte(packed, first, first + 5)
  return ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
end

-- Calls visit with each position of an element in a stage, until it returns true; whether it did.
local function positions(stage, packed, index, visit)
  local size = stage.size
  local at, step = number(packed, 12 * index - 11) % size, number(packed, 12 * index - 5) % size
  for i = 1, stage.hashes do
    if visit(stage.base + at) then return true end
    at, step = (at + step) % size, (step + i) % size
  end
  return false
end

-- Whether one of the first stages has an element.
local function has(last, set, packed, index)
  local function clear(at) return not set(at) end
  for stage = last, 1, -1 do
    if not positions(stages[stage], packed, index, clear) then return true end
  end
  return false
end
