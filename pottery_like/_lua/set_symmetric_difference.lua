-- KEYS: two sets.  Result: what is in only the first, what is in only the second.
return {redis.call('SDIFF', KEYS[1], KEYS[2]), redis.call('SDIFF', KEYS[2], KEYS[1])}
