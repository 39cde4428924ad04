-- Writes where a user is, or forgets it; what was known of the user before is gone either way.
--
-- KEYS[1]  until: the tenant's sorted set of user -> when the location ends (Unix milliseconds)
-- KEYS[2]  roles: the tenant's hash of user -> roles, separated by spaces
-- KEYS[3]  places: the tenant's geo set of user; {places}:{role} is the same of those with a role, and is
--          found on the way
-- ARGV[1]  user
-- ARGV[2]  milliseconds the location lives from now on; 0: it is only forgotten
-- ARGV[3]  longitude; ARGV[4] latitude; ARGV[5] roles, separated by spaces
--
-- Some of the locations that have ended are removed on the way, more than can come in; all keys end by
-- themselves one life after the last write. Returns when the location ends, or 0.

local function forget(user)
  for role in string.gmatch(redis.call('HGET', KEYS[2], user) or '', '[^ ]+') do
    redis.call('ZREM', KEYS[3] .. ':' .. role, user)
  end
  redis.call('HDEL', KEYS[2], user)
  redis.call('ZREM', KEYS[3], user)
  redis.call('ZREM', KEYS[1], user)
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
forget(ARGV[1])
for _, user in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)) do
  forget(user)
end
local life = tonumber(ARGV[2])
if life == 0 then
  return 0
end
redis.call('ZADD', KEYS[1], now + life, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[5])
redis.call('GEOADD', KEYS[3], ARGV[3], ARGV[4], ARGV[1])
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, life)
end
for role in string.gmatch(ARGV[5], '[^ ]+') do
  local key = KEYS[3] .. ':' .. role
  redis.call('GEOADD', key, ARGV[3], ARGV[4], ARGV[1])
  redis.call('PEXPIRE', key, life)
end
return now + life
