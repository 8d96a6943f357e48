-- The record of a topic, in front of every script that uses one.
--
-- A string, not a hash: one GET and one SET with its expiry are cheaper than three commands, and
-- smaller: 128 bytes are a step in the sizes that the server allocates. The last field is the offset
-- of the publication with the last version. A later version may append fields, which are kept here
-- as `rest`.

local RECORD = '>Bc16I6c16c16I6I6I6I6I6I6I6I4c8'
local RECORD_BYTES = 109
local NOBODY = string.rep('\0', 16)
local UNVERSIONED = string.rep('\0', 8)
-- The largest number that a bound in the record has room for: no bound.
local NONE = 281474976710655

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function damaged(key)
  error({ err = 'NXDAMAGED ' .. key })
end

-- An epoch that began at a time: its first six bytes, whatever the node's clock said.
local function begun(fresh, at)
  return struct.pack('>I8', at):sub(3) .. fresh:sub(7)
end

local function read(key)
  local raw = redis.call('GET', key)
  if not raw then
    return nil
  end
  if #raw < RECORD_BYTES or raw:byte(1) ~= 1 then
    damaged(key)
  end
  -- A constructor with all fields: a table that grows field by field takes twice the time.
  local _, epoch, top, server, earlier, ended, time, used, bytes, count, age, limit, purges,
    version = struct.unpack(RECORD, raw)
  -- Programs before versions did not write their offset.
  local rest = raw:sub(RECORD_BYTES + 1)
  local versioned = #rest >= 6 and struct.unpack('>I6', rest) or top
  return { epoch = epoch, top = top, server = server, earlier = earlier, ended = ended,
    time = time, used = used, bytes = bytes, count = count, age = age, limit = limit,
    purges = purges, version = version, versioned = versioned, rest = rest:sub(7),
    is_changed = false }
end

local function write(key, topic, idle)
  local raw = struct.pack(RECORD, 1, topic.epoch, topic.top, topic.server, topic.earlier,
    topic.ended, topic.time, topic.used, topic.bytes, topic.count, topic.age, topic.limit,
    topic.purges, topic.version) .. struct.pack('>I6', topic.versioned) .. topic.rest
  if topic.count == 0 then
    redis.call('SET', key, raw, 'PX', idle)
  elseif topic.age == NONE then
    redis.call('SET', key, raw)
  elseif topic.age + 3600000 > tonumber(idle) then
    redis.call('SET', key, raw, 'PX', topic.age + 3600000)
  else
    redis.call('SET', key, raw, 'PX', idle)
  end
end

-- Whether a version, which has 8 bytes, is not higher than another. As numbers they are not exact.
local function is_outdated(version, last)
  local high, low = struct.unpack('>I4I4', version)
  local last_high, last_low = struct.unpack('>I4I4', last)
  return high < last_high or (high == last_high and low <= last_low)
end

-- A server that is not the one which the topic last saw may lack its newest publications, and
-- would give their offsets out again: a new life begins, which remembers the end of this one.
local function fork(topic, server, fresh, now)
  local created = struct.unpack('>I8', '\0\0' .. topic.epoch:sub(1, 6))
  topic.earlier = topic.epoch
  topic.ended = topic.top
  topic.epoch = begun(fresh, math.max(now, topic.time, created + 1))
  topic.server = server
  topic.is_changed = true
end

local function open(key, list, server, fresh, now)
  local topic = read(key)
  if not topic then
    -- The record may have been evicted without the history.
    redis.call('DEL', list)
    return { epoch = begun(fresh, now), top = 0, server = server, earlier = NOBODY, ended = 0,
      time = 0, used = now, bytes = 0, count = 0, age = NONE, limit = NONE, purges = 0,
      version = UNVERSIONED, versioned = 0, rest = '', is_changed = true }
  end
  if topic.server ~= server then
    fork(topic, server, fresh, now)
  end
  return topic
end

-- An entry of a history: flags (1 deleted, 2 has an owner), time, owner, data.

local function owner_of(entry)
  if entry:byte(1) % 4 < 2 then
    return ''
  end
  local length = struct.unpack('>I2', entry, 10)
  return entry:sub(12, 11 + length)
end

local function data_bytes(entry)
  if entry:byte(1) % 4 < 2 then
    return #entry - 9
  end
  return #entry - 11 - struct.unpack('>I2', entry, 10)
end
