-- Claims a command.
--
-- KEYS: the command, the share of its owner.
-- ARGV: whether there is a fingerprint, the fingerprint, the token, the lease, the bytes that the
-- answer will need, the most bytes of the owner.
-- Reply: M (mine), R (running), A and the answer, X (another command), F (the share is full).

local known = redis.call('GET', KEYS[1])
if known then
  if #known < 10 then
    error({ err = 'NXDAMAGED ' .. KEYS[1] })
  end
  if ARGV[1] == '1' and known:byte(2) == 1 and known:sub(3, 10) ~= ARGV[2] then
    return 'X'
  end
  if known:sub(1, 1) == 'A' then
    return 'A' .. known:sub(11)
  end
  return 'R'
end
local time = redis.call('TIME')
local minute = math.floor(time[1] / 60)
local used = 0
local fields = redis.call('HGETALL', KEYS[2])
for i = 1, #fields, 2 do
  if tonumber(fields[i]) >= minute then
    used = used + tonumber(fields[i + 1])
  end
end
if used + tonumber(ARGV[5]) > tonumber(ARGV[6]) then
  return 'F'
end
local kept = 'R' .. (ARGV[1] == '1' and '\1' or '\0') .. ARGV[2] .. ARGV[3]
if tonumber(ARGV[4]) > 0 then
  redis.call('SET', KEYS[1], kept, 'PX', ARGV[4])
end
return 'M'
