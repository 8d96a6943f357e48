-- Claims a command.
--
-- KEYS: the command, the share of its owner.
-- ARGV: whether there is a fingerprint, the fingerprint, the token, the lease, the bytes that the
-- answer will need, the most bytes of the owner, the time for which an unanswered claim is in doubt
-- after its lease: 0 for a command that is claimed again then.
-- Reply: M (mine), R (running), A and the answer, D (in doubt), X (another command), F (the share is
-- full).

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
  -- Behind the token: when the lease of a claim ends whose key lives longer.
  local ends = tonumber(known:sub(27))
  local time = redis.call('TIME')
  if ends and time[1] * 1000 + math.floor(time[2] / 1000) >= ends then
    return 'D'
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
local lease = tonumber(ARGV[4])
local doubt = tonumber(ARGV[7])
if doubt > 0 then
  local ends = time[1] * 1000 + math.floor(time[2] / 1000) + lease
  kept = kept .. string.format('%.0f', ends)
end
if lease + doubt > 0 then
  redis.call('SET', KEYS[1], kept, 'PX', string.format('%.0f', lease + doubt))
end
return 'M'
