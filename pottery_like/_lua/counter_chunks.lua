-- Calls a command with any number of words, a thousand at a time.
local function call(command, key, words, each)
  for from = 1, #words, 1000 do
    local reply = redis.call(command, key, unpack(words, from, math.min(from + 999, #words)))
    if each then each(reply, from) end
  end
end
