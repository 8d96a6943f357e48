-- Keeps the list of living nodes, and which process has the name of each.
--
-- KEYS: the nodes, by the time until which each is known to live; their processes; the layout.
-- ARGV: the lease; the name of the asking node; its process, a random number of 16 bytes and the
-- newest layout that it knows; the act: "read" the list, "live", "join" or "leave"; for "join" the end
-- of the lease of a process that is known to be dead; the number of partitions; 1 if the list has had
-- the time to be complete.
-- Reply: 0, or the end of the lease of another process that has the name. 1 if the node was not
-- known to live, the living nodes, and those that died less than an hour ago. The layout that is
-- written. If the name is another's, or the layout a newer one, nothing was done.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local nodes, processes = KEYS[1], KEYS[2]
local name, process, act = ARGV[2], ARGV[3], ARGV[4]
local newest = string.byte(process, 17)

local found = redis.call('GET', KEYS[3])
-- A server that has lost its data is filled with what the programs before this one read as well.
local written = tonumber(string.match(found or '', '^%d+')) or math.max(newest - 1, 1)
if written > newest then
  return { 0, 0, {}, {}, written }
end

local until_ms = tonumber(redis.call('ZSCORE', nodes, name) or 0)
local holder = redis.call('HGET', processes, name)
local is_other = holder and holder ~= process
if act == 'join' then
  -- The lease decides. A program of the time before processes were noted has one too.
  is_other = until_ms > now and until_ms ~= tonumber(ARGV[5]) and holder ~= process
end
if is_other then
  return { math.max(until_ms, 1), 0, {}, {}, written }
end

local is_new = 0
if act == 'leave' then
  redis.call('ZREM', nodes, name)
  redis.call('HDEL', processes, name)
elseif act ~= 'read' then
  if until_ms <= now then
    is_new = 1
  end
  -- Each sign of life has another end: who waits for the end of the lease sees that it moves.
  redis.call('ZADD', nodes, math.max(now + ARGV[1], until_ms + 1), name)
  redis.call('HSET', processes, name, process)
  local forgotten = redis.call('ZRANGEBYSCORE', nodes, '-inf', now - 3600000, 'LIMIT', 0, 1000)
  if #forgotten > 0 then
    redis.call('ZREM', nodes, unpack(forgotten))
    redis.call('HDEL', processes, unpack(forgotten))
  end
end
local living = redis.call('ZRANGEBYSCORE', nodes, '(' .. now, '+inf')

if act == 'live' and written < newest and ARGV[7] == '1' then
  local is_known = true
  for _, one in ipairs(living) do
    local other = redis.call('HGET', processes, one)
    is_known = is_known and other and string.byte(other, 17) >= newest
  end
  if is_known then
    written, found = newest, false
  end
end
if act == 'live' and not found then
  redis.call('SET', KEYS[3], written .. ' ' .. ARGV[6])
end
return { 0, is_new, living, redis.call('ZRANGEBYSCORE', nodes, '-inf', now), written }
