-- Write a connection's state, unless somebody has taken it over since.
--
-- KEYS[1]  the state: a hash of `owner`, `content`, and `turn` (how often it was taken over, from 1)
-- ARGV[1]  owner
-- ARGV[2]  content
-- ARGV[3]  turn: the writer's
-- ARGV[4]  milliseconds it lives from now on; 0: it is deleted
--
-- Returns 1, or 0 when it was taken over; then nothing was changed.

local turn = tonumber(redis.call('HGET', KEYS[1], 'turn'))
if turn and turn > tonumber(ARGV[3]) then
  return 0
end
if ARGV[4] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'content', ARGV[2], 'turn', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1
