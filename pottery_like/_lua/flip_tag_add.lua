-- KEYS: index.  ARGV: the Redis key to add.  Result: the time it was given, old keys to be looked after.
-- include: flip_tag_part
local old = add(KEYS[1], ARGV[1])
table.insert(old, 1, number(now))
return old
