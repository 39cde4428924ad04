-- A bucket that holds `most` and refills steadily in `window`, shared by all processes; the clock is Redis's.
--
-- KEYS[1]  the bucket: a hash of `left` (what it holds) and `seen` (when that was so, in microseconds)
-- ARGV[1]  most: how much fits
-- ARGV[2]  window: microseconds in which an empty bucket becomes full
-- ARGV[3]  cost: how much is asked for, at most `most`
-- ARGV[4]  ahead: how much more the asker would like for later; given whole, and only while the bucket is
--          more than half full without it
--
-- Returns two numbers. The first is 0 when the cost was taken, else the microseconds until there is enough;
-- then nothing was taken. The second is what was given ahead.

local most, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local cost, ahead = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local kept = redis.call('HMGET', KEYS[1], 'left', 'seen')
local left, seen = tonumber(kept[1]) or most, tonumber(kept[2]) or now

-- A clock that was set back refills nothing.
left = math.min(most, left + math.max(0, now - seen) * most / window)
local wait = 0
if left >= cost then
  left = left - cost
  if left - ahead <= most / 2 then
    ahead = 0
  end
  left = left - ahead
else
  ahead = 0
  wait = math.ceil((cost - left) * window / most)
end
redis.call('HSET', KEYS[1], 'left', left, 'seen', now)
-- A full bucket need not be remembered.
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
return {wait, ahead}
