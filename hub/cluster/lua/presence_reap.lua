-- Removes a slice of what a node without a lease has left behind.
--
-- KEYS[1]  nodes: a sorted set of node -> the end of its lease (Unix milliseconds)
-- ARGV[1]  prefix of the other keys, which are found on the way: {prefix}:held:{node},
--          {prefix}:versions:{tenant}, {prefix}:entries:{tenant}:{node}, {prefix}:seen:{tenant}
-- ARGV[2]  slice: about how many entries are removed
-- ARGV[3]  most users that `seen` keeps; ARGV[4] milliseconds for which it is kept
--
-- Their users were last seen when the lease ended. Returns 1 while there may be more, else 0.

local prefix = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0, 1)
if #over == 0 then
  return 0
end
local node, ends = over[1], over[2]
local held = prefix .. ':held:' .. node
local tenant = redis.call('SRANDMEMBER', held)
if not tenant then
  redis.call('ZREM', KEYS[1], node)
  return 1
end
local entries = prefix .. ':entries:' .. tenant .. ':' .. node
local seen = prefix .. ':seen:' .. tenant
local slice = redis.call('HSCAN', entries, 0, 'COUNT', ARGV[2])[2]
for i = 1, #slice, 2 do
  local user = string.match(slice[i + 1], '^([^\n]+)\n')
  if user then
    redis.call('ZADD', seen, 'GT', ends, user)
  end
  redis.call('HDEL', entries, slice[i])
end
redis.call('ZREMRANGEBYRANK', seen, 0, -1 - ARGV[3])
redis.call('PEXPIRE', seen, ARGV[4])
if redis.call('EXISTS', entries) == 0 then
  redis.call('HDEL', prefix .. ':versions:' .. tenant, node)
  redis.call('SREM', held, tenant)
end
return 1
