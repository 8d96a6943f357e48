-- Makes the record of a topic that comes from another store, whose history is there already.
--
-- KEYS: the topic.
-- ARGV: the server, the idle time, and packed: the epoch, the top, the life before and where it
-- ended, the time of the newest publication, the bytes of the history, the bounds of count, age and
-- bytes, the version and the offset of the publication that had it.
-- Reply: 1, or 0 if there is a topic of this name.

if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local epoch, top, earlier, ended, time, bytes, count, age, limit, version, versioned =
  struct.unpack('>c16I8c16I8I8I8I8I8I8c8I8', ARGV[3])
write(KEYS[1], { epoch = epoch, top = top, server = ARGV[1], earlier = earlier, ended = ended,
  time = time, used = now_ms(), bytes = bytes, count = count, age = age, limit = limit, purges = 0,
  version = version, versioned = versioned, rest = '', is_changed = true }, ARGV[2])
return 1
