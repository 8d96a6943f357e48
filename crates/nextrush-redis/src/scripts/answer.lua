-- Remembers the answer to a command, and counts it to the share of its owner.
--
-- KEYS: the command, the share of its owner.
-- ARGV: whether there is a fingerprint, the fingerprint, the answer, the window, the bytes to
-- count.
-- Reply: the answer in force.

local known = redis.call('GET', KEYS[1])
if known and known:sub(1, 1) == 'A' then
  return known:sub(11)
end
local window = tonumber(ARGV[4])
if window == 0 then
  redis.call('DEL', KEYS[1])
  return ARGV[3]
end
local kept = 'A' .. (ARGV[1] == '1' and '\1' or '\0') .. ARGV[2] .. ARGV[3]
redis.call('SET', KEYS[1], kept, 'PX', window)
-- By the minute in which answers end, so that a share shrinks without being counted again.
local time = redis.call('TIME')
local minute = math.floor(time[1] / 60)
local ends = math.floor((time[1] + window / 1000) / 60)
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if tonumber(field) < minute then
    redis.call('HDEL', KEYS[2], field)
  end
end
redis.call('HINCRBY', KEYS[2], ends, ARGV[5])
local left = redis.call('PTTL', KEYS[2])
redis.call('PEXPIRE', KEYS[2], math.max(left, window + 60000))
return ARGV[3]
