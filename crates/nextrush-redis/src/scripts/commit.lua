-- Makes a change of a roster if it is at the revision from which the change goes out, and pushes it.
--
-- KEYS: the roster, its members.
-- ARGV: the channel, the command that publishes, the idle time, the change.
-- Reply: D and the time, or C and the revision.

local record, members, idle, change = KEYS[1], KEYS[2], ARGV[3], ARGV[4]
local revision, is_whole = open(record, members)
if change:sub(2, 17) ~= revision then
  return 'C' .. revision
end
if not is_whole then
  redis.call('DEL', record, members)
end

-- Version, revisions, head; the removed by their numbers; the others by number, length and bytes.
local length, at = struct.unpack('>I4', change, 34)
local head = change:sub(at, at + length - 1)
local left
left, at = struct.unpack('>I4', change, at + length)
while left > 0 do
  local some = {}
  for index = 1, math.min(left, 1000) do
    some[index] = change:sub(at, at + 7)
    at = at + 8
  end
  left = left - #some
  redis.call('HDEL', members, unpack(some))
end
left, at = struct.unpack('>I4', change, at)
while left > 0 do
  local some = {}
  for index = 1, 2 * math.min(left, 500), 2 do
    length = struct.unpack('>I4', change, at + 8)
    some[index] = change:sub(at, at + 7)
    some[index + 1] = change:sub(at + 12, at + 11 + length)
    at = at + 12 + length
  end
  left = left - #some / 2
  redis.call('HSET', members, unpack(some))
end

local count = redis.call('HLEN', members)
redis.call('SET', record, '\1' .. change:sub(18, 33) .. struct.pack('>I4', count) .. head,
  'PX', idle)
redis.call('PEXPIRE', members, idle)
redis.call(ARGV[2], ARGV[1], change)
return 'D' .. now_ms()
