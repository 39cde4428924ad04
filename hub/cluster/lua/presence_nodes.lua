-- The nodes that hold connections of a tenant and have their lease.
--
-- KEYS[1]  nodes: a sorted set of node -> the end of its lease (Unix milliseconds)
-- KEYS[2]  versions: the tenant's hash of node -> version of its entries
--
-- Returns node, version and the milliseconds that are left of the lease, for each.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local versions = redis.call('HGETALL', KEYS[2])
local living = {}
for i = 1, #versions, 2 do
  local left = tonumber(redis.call('ZSCORE', KEYS[1], versions[i]) or 0) - now
  if left > 0 then
    living[#living + 1] = {versions[i], versions[i + 1], left}
  end
end
return living
