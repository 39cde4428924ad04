-- Take over a connection's state: whoever comes last has it.
--
-- KEYS[1]  the state: a hash of `owner`, `content`, and `turn` (how often it was taken over, from 1)
-- ARGV[1]  owner: it is given to nobody else
-- ARGV[2]  milliseconds it lives from now on
--
-- Returns {content, turn}, or nil when there is no such state of this owner; then nothing was changed.

if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then
  return nil
end
local turn = redis.call('HINCRBY', KEYS[1], 'turn', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {redis.call('HGET', KEYS[1], 'content'), turn}
