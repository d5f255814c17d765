-- KEYS: index.  ARGV: from this time, up to this time (empty: now), how many at most.
-- Result: the time up to which, then keys, each followed by the time it was tagged.
-- include: flip_tag_part
local limit = ARGV[2] == '' and number(now) or ARGV[2]
local page = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], limit, 'WITHSCORES', 'LIMIT', 0, ARGV[3])
table.insert(page, 1, limit)
return page
