-- The record of a roster, in front of every script that uses one.
--
-- A string, as the record of a topic is: version, number, tag, count of members, head. The
-- members are a hash by their numbers. Numbers and tags are 8 bytes and never numbers of Lua,
-- which are whole up to 2^53 only.

local HEADER_BYTES = 21
local NOTHING = string.rep('\0', 16)

local function now_ms()
  local time = redis.call('TIME')
  return struct.pack('>I8', time[1] * 1000 + math.floor(time[2] / 1000))
end

-- The revision, and the count of members; of a roster that is not there NOTHING.
local function revision_of(record)
  local raw = redis.call('GETRANGE', record, 0, HEADER_BYTES - 1)
  if raw == '' then
    return NOTHING, 0
  end
  if #raw < HEADER_BYTES or raw:byte(1) ~= 1 then
    error({ err = 'NXDAMAGED ' .. record })
  end
  return raw:sub(2, 17), struct.unpack('>I4', raw, 18)
end

-- The revision, and whether both keys belong together. A server that forgets keys when memory is
-- short may have one without the other: then there is no roster, and nodes put back what they have.
local function open(record, members)
  local revision, count = revision_of(record)
  if count ~= redis.call('HLEN', members) then
    return NOTHING, false
  end
  return revision, true
end
