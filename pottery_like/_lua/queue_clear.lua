-- KEYS: the queue's.  Who waits for room or for the end of all tasks need not wait any longer.
-- include: queue_shared
redis.call('UNLINK', unpack(KEYS))
for _, list in ipairs({ROOM, IDLE}) do
  redis.call('RPUSH', list, '1')
  redis.call('PEXPIRE', list, 50)
end
