-- What FlipCache's writes share.  ARGV[1]: the channels' prefix, empty to publish nothing; ARGV[2]: the length of the keys' prefix.
local function publish(event, key)
  if ARGV[1] ~= '' then
    redis.call('PUBLISH', ARGV[1] .. event, string.sub(key, ARGV[2] + 1))
  end
end

local function put(key, value, ms)
  if tonumber(ms) > 0 then
    return redis.pcall('SET', key, value, 'PX', ms)
  end
  return redis.pcall('SET', key, value)
end
