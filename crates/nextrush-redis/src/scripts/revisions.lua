-- Reads the revisions of rosters, which somebody watches: they are not forgotten then.
--
-- KEYS: each roster and its members.
-- ARGV: the idle time, and 1 to see to it that both keys are there and stay. That takes three times
-- as long, and is not needed each time.
-- Reply: a revision for each.

local idle, is_thorough = ARGV[1], ARGV[2] == '1'
local reply = {}
for i = 1, #KEYS, 2 do
  local revision
  if is_thorough then
    revision = open(KEYS[i], KEYS[i + 1])
    if revision ~= NOTHING and redis.call('PTTL', KEYS[i]) < idle * 0.75 then
      redis.call('PEXPIRE', KEYS[i], idle)
      redis.call('PEXPIRE', KEYS[i + 1], idle)
    end
  else
    revision = revision_of(KEYS[i])
  end
  reply[#reply + 1] = revision
end
return table.concat(reply)
