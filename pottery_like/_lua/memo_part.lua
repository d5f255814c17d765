-- What redis_cache()'s scripts share.  An entry is a field of the hash KEYS[1]: "due took clock rows|payload", or only
-- "|payload".  due: when it expires (0 = never); took: how long its computation took; both in milliseconds.  rows: each
-- a blank and the name of a row in the hash of marks, which has the clock's number at that tag's or prefix's last
-- invalidation; the row "*" those before which all is invalid; it is every entry's, where there are marks.  clock: the number when the computation began.
-- KEYS: entries, flights, then those that the letters in ARGV[1] stand for: m(arks), o(rder), e(xpiries), s(tatistics),
-- w(ake).  Further letters: u = what is used least often goes first, not what was used least recently; f, l, q: see
-- memo_look; h: see memo_store.
local FLAGS = ARGV[1]
local ENTRIES, FLIGHTS = KEYS[1], KEYS[2]
local place = 2
local function given(letter)
  if string.find(FLAGS, letter, 1, true) then
    place = place + 1
    return KEYS[place]
  end
end
local MARKS, ORDER, EXPIRIES, STATISTICS, WAKE = given('m'), given('o'), given('e'), given('s'), given('w')

-- The clock of the marks.  Where they are new, because nothing was marked yet or the server has evicted them, all that
-- is older is invalid.
local function clock()
  if not MARKS then return 0 end
  local number = redis.call('HGET', MARKS, '')
  if number then return tonumber(number) end
  local time = redis.call('TIME')
  number = string.format('%s%06d', time[1], time[2])
  redis.call('HSET', MARKS, '', number, '*', number)
  return tonumber(number)
end

local function valid(rows, since)
  if rows == '' or not MARKS then return rows == '' and not MARKS end
  local names = {}
  for name in string.gmatch(rows, '%S+') do names[#names + 1] = name end
  local numbers = redis.call('HMGET', MARKS, '*', unpack(names))
  if not numbers[1] then return false end
  for _, number in ipairs(numbers) do
    if number and tonumber(number) > since then return false end
  end
  return true
end

local function remove(fields)
  redis.call('HDEL', ENTRIES, unpack(fields))
  if ORDER then redis.call('ZREM', ORDER, unpack(fields)) end
  if EXPIRIES then redis.call('ZREM', EXPIRIES, unpack(fields)) end
end

local function use(field)
  local time = redis.call('TIME')
  local score
  if string.find(FLAGS, 'u', 1, true) then
    local uses = redis.call('ZSCORE', ORDER, field)
    -- Of those used equally often, the least recent.
    score = math.floor(tonumber(uses or 0)) + 1 + (time[1] * 1000 + math.floor(time[2] / 1000)) / 1e13
    score = string.format('%.17g', score)
  else
    score = string.format('%s%06d', time[1], time[2])
  end
  -- Without memory for it, a hit is one all the same.
  redis.pcall('ZADD', ORDER, score, field)
end

local function purge(at)
  local ended = redis.call('ZRANGEBYSCORE', EXPIRIES, '-inf', at, 'LIMIT', 0, 500)
  if #ended > 0 then remove(ended) end
  return #ended
end

-- The whole cache lives so many milliseconds after its last access.
local function keep(timeout)
  if timeout ~= '0' then
    for _, key in ipairs({ENTRIES, MARKS or ENTRIES, ORDER or ENTRIES, EXPIRIES or ENTRIES, STATISTICS or ENTRIES}) do
      redis.call('PEXPIRE', key, timeout)
    end
  end
end
