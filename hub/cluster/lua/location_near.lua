-- Who is near a place, nearest first.
--
-- KEYS[1]  until: the tenant's sorted set of user -> when the location ends (Unix milliseconds)
-- KEYS[2]  places: the tenant's geo set of user, or that of a role
-- ARGV[1]  longitude; ARGV[2] latitude; ARGV[3] radius in metres
-- ARGV[4]  how many users at most
--
-- Locations that have ended may still be there: so many more are looked at, and passed over. Returns users.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most = tonumber(ARGV[4])
local ended = redis.call('ZCOUNT', KEYS[1], '-inf', now)
local found = redis.call('GEOSEARCH', KEYS[2], 'FROMLONLAT', ARGV[1], ARGV[2], 'BYRADIUS', ARGV[3], 'm',
  'ASC', 'COUNT', most + ended)
local near = {}
for _, user in ipairs(found) do
  if #near < most and tonumber(redis.call('ZSCORE', KEYS[1], user) or 0) > now then
    near[#near + 1] = user
  end
end
return near
