-- To be included: visit(page, first, last) is called for each thousand elements of a set, until it returns true.
local function pages(key, visit)
  local cursor = '0'
  repeat
    local reply = redis.call('SSCAN', key, cursor, 'COUNT', 1000)
    local page = reply[2]
    cursor = reply[1]
    -- A compactly stored set comes as a single page, which a server's settings may make longer than asked for.
    for first = 1, #page, 1000 do
      if visit(page, first, math.min(first + 999, #page)) then return true end
    end
  until cursor == '0'
  return false
end
