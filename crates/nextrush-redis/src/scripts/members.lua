-- Reads a roster.
--
-- KEYS: the roster, its members.
-- Reply: the numbers of the members, each before its member; then the time, the revision and the
-- head.

local revision, is_whole = open(KEYS[1], KEYS[2])
if revision == NOTHING or not is_whole then
  return { now_ms() .. NOTHING }
end
local reply = redis.call('HGETALL', KEYS[2])
reply[#reply + 1] = now_ms() .. revision .. redis.call('GETRANGE', KEYS[1], HEADER_BYTES, -1)
return reply
