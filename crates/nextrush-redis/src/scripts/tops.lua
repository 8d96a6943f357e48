-- Reads the positions of topics.
--
-- KEYS: the topics.
-- ARGV: the server, a fresh epoch, the idle time.
-- Reply: for each topic 0, or 1 with its position, earlier life and purges.

local idle = ARGV[3]
local now = now_ms()
local reply = {}
for i, key in ipairs(KEYS) do
  local topic = read(key)
  if topic then
    if topic.server ~= ARGV[1] then
      fork(topic, ARGV[1], ARGV[2]:sub(1, 14) .. struct.pack('>I2', i), now)
    end
    if now - math.max(topic.used, topic.time) > tonumber(idle) / 4 then
      topic.used = now
      topic.is_changed = true
    end
    if topic.is_changed then
      write(key, topic, idle)
    end
    reply[i] = '\1' .. topic.epoch .. struct.pack('>I8c16I8I8', topic.top, topic.earlier,
      topic.ended, topic.purges)
  else
    reply[i] = string.rep('\0', 57)
  end
end
return table.concat(reply)
