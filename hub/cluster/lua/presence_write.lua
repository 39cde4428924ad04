-- Writes what came and went on one node in one tenant, if the node has its lease.
--
-- KEYS[1]  nodes: a sorted set of node -> the end of its lease (Unix milliseconds)
-- KEYS[2]  held: the set of tenants that the node has connections of
-- KEYS[3]  versions: the tenant's hash of node -> version of its entries
-- KEYS[4]  entries: the hash of connection -> entry (lines: user, session, transport, roles and rooms
--          with spaces between, connection)
-- KEYS[5]  seen: the tenant's sorted set of user -> when last seen (Unix milliseconds)
-- ARGV[1]  node
-- ARGV[2]  tenant
-- ARGV[3]  version of the entries after this
-- ARGV[4]  how many entries come; ARGV[5] how many go; ARGV[6] how many users were seen
-- ARGV[7]  most users that `seen` keeps; ARGV[8] milliseconds for which it is kept
-- ARGV[9]  and after: connection and entry of each that comes, connection of each that goes, users seen;
--          at most 2000 in all
--
-- Returns how many entries are left, or -1 when the node has no lease; then nothing was written.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if ends <= now then
  return -1
end
local at = 9
local comes, goes, seen = 2 * ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
if comes > 0 then
  redis.call('HSET', KEYS[4], unpack(ARGV, at, at + comes - 1))
end
at = at + comes
if goes > 0 then
  redis.call('HDEL', KEYS[4], unpack(ARGV, at, at + goes - 1))
end
at = at + goes
for i = at, at + seen - 1 do
  redis.call('ZADD', KEYS[5], now, ARGV[i])
end
if seen > 0 then
  redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -1 - ARGV[7])
  redis.call('PEXPIRE', KEYS[5], ARGV[8])
end
local left = redis.call('HLEN', KEYS[4])
if left > 0 then
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
  redis.call('SADD', KEYS[2], ARGV[2])
else
  redis.call('HDEL', KEYS[3], ARGV[1])
  redis.call('SREM', KEYS[2], ARGV[2])
end
return left
