-- Keeps the list of living nodes.
--
-- KEYS: the nodes, by the time until which each is known to live.
-- ARGV: the lease, and the name of a node that lives, or nothing.
-- Reply: 1 if that node was not known to live, the living nodes, and those that died less than an
-- hour ago.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local is_new = 0
if ARGV[2] ~= '' then
  local until_ms = redis.call('ZSCORE', KEYS[1], ARGV[2])
  if not until_ms or tonumber(until_ms) <= now then
    is_new = 1
  end
  redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 3600000)
end
return { is_new, redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf'),
  redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now) }
