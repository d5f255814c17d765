-- KEYS: a queue's five with data, then the copy's five.
for i = 1, 5 do redis.call('COPY', KEYS[i], KEYS[i + 5], 'REPLACE') end
