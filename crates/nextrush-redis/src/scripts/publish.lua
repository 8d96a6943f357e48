-- Appends a group of publications and pushes it.
--
-- KEYS: the topic, its history, then the keys of publications that happen once, of versions and of
-- the shares of owners.
-- ARGV: the server, a fresh epoch, the channel, the command that publishes, the idle time, the most
-- bytes of an owner, then for each publication its head and its data.
-- Reply: the earlier life, then for each publication A (appended), D (a repeat), R (the key of
-- another publication), O (older than what there is) or F (the share of the owner is full), its
-- epoch, offset and time.

local HEAD = '>I8I8I8I8c8I2I2I2I2Bc8'
local HEAD_BYTES = 57

local list, server, fresh, idle = KEYS[2], ARGV[1], ARGV[2], ARGV[5]
local most = tonumber(ARGV[6])
local now = now_ms()
local topic = open(KEYS[1], list, server, fresh, now)
now = math.max(now, topic.time)
local had_age = topic.age ~= NONE
local first = topic.top + 1
local outcomes, pushed, entries = {}, {}, {}
local is_cleared, added = false, 0

for i = 7, #ARGV, 2 do
  local head, data = ARGV[i], ARGV[i + 1]
  local count, limit, age, window, version, version_key, share_key, cost, key, has_print, print =
    struct.unpack(HEAD, head)
  local known = key > 0 and redis.call('GET', KEYS[2 + key])
  if known and #known ~= 33 then
    damaged(KEYS[2 + key])
  end
  local newer
  if not known and version ~= UNVERSIONED then
    if version_key == 0 then
      if is_outdated(version, topic.version) then
        newer = topic.epoch .. struct.pack('>I8', topic.versioned)
      end
    else
      local last = redis.call('GET', KEYS[2 + version_key])
      if last and (#last ~= 33 or last:byte(1) ~= 1) then
        damaged(KEYS[2 + version_key])
      end
      if last and is_outdated(version, last:sub(2, 9)) then
        newer = last:sub(10)
      end
    end
  end
  -- What the keys of an owner take, since the first of them that has not ended: of those before
  -- as much may be left.
  local used = 0
  if share_key > 0 and window > 0 and not known and not newer then
    used = redis.call('INCRBY', KEYS[2 + share_key], cost)
    if used == cost then
      redis.call('PEXPIRE', KEYS[2 + share_key], window)
    end
  end
  if known and has_print == 1 and known:byte(25) == 1 and known:sub(26) ~= print then
    outcomes[#outcomes + 1] = 'R' .. string.rep('\0', 32)
  elseif known then
    outcomes[#outcomes + 1] = 'D' .. known:sub(1, 24) .. string.rep('\0', 8)
  elseif used > most then
    outcomes[#outcomes + 1] = 'F' .. string.rep('\0', 32)
  elseif newer then
    outcomes[#outcomes + 1] = 'O' .. newer .. string.rep('\0', 8)
  else
    topic.top = topic.top + 1
    topic.time = now
    topic.count, topic.age, topic.limit = count, age, limit
    local position = topic.epoch .. struct.pack('>I8', topic.top)
    if version ~= UNVERSIONED and version_key == 0 then
      topic.version, topic.versioned = version, topic.top
    elseif version ~= UNVERSIONED then
      redis.call('SET', KEYS[2 + version_key], '\1' .. version .. position, 'PX', 86400000)
    end
    local time = struct.pack('>I8', now)
    if key > 0 and window > 0 then
      redis.call('SET', KEYS[2 + key], position .. struct.pack('>Bc8', has_print, print), 'PX', window)
    end
    local owner = head:sub(HEAD_BYTES + 1)
    if count == 0 then
      entries, is_cleared, added = {}, true, 0
    else
      if owner == '' then
        entries[#entries + 1] = '\0' .. time .. data
      else
        entries[#entries + 1] = '\2' .. time .. struct.pack('>I2', #owner) .. owner .. data
      end
      added = added + #data
    end
    pushed[#pushed + 1] = struct.pack('>I2I4', #owner, #data) .. owner .. data
    outcomes[#outcomes + 1] = 'A' .. position .. time
  end
end

if #pushed > 0 then
  if is_cleared then
    redis.call('DEL', list)
  end
  local length = 0
  if #entries > 0 then
    length = redis.call('RPUSH', list, unpack(entries))
  end
  -- What was there before may have expired.
  topic.bytes = (length > #entries and topic.bytes or 0) + added
  if length == topic.count + 1 then
    topic.bytes = topic.bytes - data_bytes(redis.call('LPOP', list))
  elseif length > topic.count then
    for _, entry in ipairs(redis.call('LPOP', list, length - topic.count)) do
      topic.bytes = topic.bytes - data_bytes(entry)
    end
  end
  while topic.bytes > topic.limit do
    local entry = redis.call('LPOP', list)
    if not entry then
      topic.bytes = 0
      break
    end
    topic.bytes = topic.bytes - data_bytes(entry)
  end
  if topic.count > 0 and topic.age ~= NONE then
    redis.call('PEXPIRE', list, topic.age)
  elseif topic.count > 0 and had_age then
    redis.call('PERSIST', list)
  end
  topic.used = now
  topic.is_changed = true
end
if topic.is_changed then
  write(KEYS[1], topic, idle)
end
if #pushed > 0 then
  redis.call(ARGV[4], ARGV[3], struct.pack('>BBc16c16I8I8I8I8I8I8I2', 1, 1, topic.epoch,
    topic.earlier, topic.ended, topic.count, topic.age, topic.limit, first, now, #pushed)
    .. table.concat(pushed))
end
return topic.earlier .. struct.pack('>I8', topic.ended) .. table.concat(outcomes)
