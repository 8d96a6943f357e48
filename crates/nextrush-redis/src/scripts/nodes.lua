-- Keeps the list of living nodes, and which process has the name of each.
--
-- KEYS: the nodes, by the time until which each is known to live, and their processes.
-- ARGV: the lease, the name of the asking node, its process, and the act: "read" the list, "live",
-- "join" or "leave". For "join" also the end of the lease of a process that is known to be dead.
-- Reply: 0, or the end of the lease of another process that has the name: then nothing was done.
-- 1 if the node was not known to live, the living nodes, and those that died less than an hour ago.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local nodes, processes = KEYS[1], KEYS[2]
local name, process, act = ARGV[2], ARGV[3], ARGV[4]

local until_ms = tonumber(redis.call('ZSCORE', nodes, name) or 0)
local holder = redis.call('HGET', processes, name)
local is_other = holder and holder ~= process
if act == 'join' then
  -- The lease decides. A program of the time before processes were noted has one too.
  is_other = until_ms > now and until_ms ~= tonumber(ARGV[5]) and holder ~= process
end
if is_other then
  return { math.max(until_ms, 1), 0, {}, {} }
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
return { 0, is_new, redis.call('ZRANGEBYSCORE', nodes, '(' .. now, '+inf'),
  redis.call('ZRANGEBYSCORE', nodes, '-inf', now) }
