-- Deletes publications. A mark stays in place of each, as offsets count the entries.
--
-- KEYS: the topic, its history.
-- ARGV: the server, a fresh epoch, the channel, the command that publishes, the idle time, `all`,
-- `owner` or `offsets`, and the owner or the packed offsets.
-- Reply: the epoch, then the offsets of what was deleted.

local list, idle = KEYS[2], ARGV[5]
local now = now_ms()
local topic = open(KEYS[1], list, ARGV[1], ARGV[2], now)
local length = redis.call('LLEN', list)
local base = topic.top - length
if base < 0 then
  damaged(list)
end
local deleted = {}

local function delete(index, entry)
  if entry and entry:byte(1) % 2 == 0 then
    redis.call('LSET', list, index, '\1' .. entry:sub(2, 9))
    topic.bytes = topic.bytes - data_bytes(entry)
    deleted[#deleted + 1] = struct.pack('>I8', base + index + 1)
  end
end

if ARGV[6] == 'offsets' then
  for at = 1, #ARGV[7], 8 do
    local index = struct.unpack('>I8', ARGV[7], at) - base - 1
    if index >= 0 and index < length then
      delete(index, redis.call('LINDEX', list, index))
    end
  end
else
  for i, entry in ipairs(redis.call('LRANGE', list, 0, -1)) do
    if ARGV[6] == 'all' or owner_of(entry) == ARGV[7] then
      delete(i - 1, entry)
    end
  end
end
if #deleted > 0 then
  topic.purges = topic.purges + 1
  topic.is_changed = true
end
if topic.is_changed then
  write(KEYS[1], topic, idle)
end
if #deleted > 0 then
  redis.call(ARGV[4], ARGV[3],
    struct.pack('>BBc16I4', 1, 2, topic.epoch, #deleted) .. table.concat(deleted))
end
return topic.epoch .. table.concat(deleted)
