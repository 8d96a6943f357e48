-- Reads a part of a history.
--
-- KEYS: the topic, its history.
-- ARGV: the server, a fresh epoch, the idle time, `latest` or `after`, a number or an offset, the
-- most entries.
-- Reply: the position, the earlier life, the bounds and the offset of the first entry; then the
-- entries, of about 512 KiB at most.

local list, idle = KEYS[2], ARGV[3]
local now = now_ms()
local topic = open(KEYS[1], list, ARGV[1], ARGV[2], now)
if topic.is_changed then
  write(KEYS[1], topic, idle)
end
local length = redis.call('LLEN', list)
local base = topic.top - length
if base < 0 then
  damaged(list)
end

-- The number of entries that have expired: the server knows no age of a part of a list.
local expired = 0
if topic.age ~= NONE and length > 0 then
  local function is_expired(index)
    local entry = redis.call('LINDEX', list, index)
    return struct.unpack('>I8', entry, 2) + topic.age <= now
  end
  if is_expired(0) then
    local low, high = 1, length
    while low < high do
      local middle = math.floor((low + high) / 2)
      if is_expired(middle) then
        low = middle + 1
      else
        high = middle
      end
    end
    expired = low
  end
end

local number, most = tonumber(ARGV[5]), tonumber(ARGV[6])
local start
if ARGV[4] == 'latest' then
  start = math.max(expired, length - number)
else
  start = math.max(expired, number - base)
end
local stop = math.min(length, start + most)
local reply = { topic.epoch .. struct.pack('>I8c16I8I8I8I8I8', topic.top, topic.earlier,
  topic.ended, topic.count, topic.age, topic.limit, base + start + 1) }
local bytes = 0
while start < stop and bytes < 524288 do
  local part = redis.call('LRANGE', list, start, math.min(stop, start + 32) - 1)
  for _, entry in ipairs(part) do
    reply[#reply + 1] = entry
    bytes = bytes + #entry
    start = start + 1
    if bytes >= 524288 then
      break
    end
  end
end
return reply
