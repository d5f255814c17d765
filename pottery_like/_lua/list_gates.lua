-- Included: what goes before the first change.
-- The server checks its memory limit only until a script has written.

-- Changes nothing, and fails when memory is full: what grows fails here or not at all.
local function growing(key)
  redis.call('LSET', key, 0, redis.call('LINDEX', key, 0))
end

-- Changes nothing, and never fails for memory: what only removes may then write.
local function removing(key)
  redis.call('LTRIM', key, 0, -1)
end
