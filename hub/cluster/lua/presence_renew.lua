-- Prolongs a node's lease, or begins one; the clock is Redis's.
--
-- KEYS[1]  nodes: a sorted set of node -> the end of its lease (Unix milliseconds)
-- ARGV[1]  node: an incarnation of a process
-- ARGV[2]  lease: milliseconds from now; 0 ends it at once
-- ARGV[3]  "begin" for a lease that may be new; else only one that has not run out is prolonged
--
-- Returns 1, or 0 when there was no lease to prolong.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if ARGV[3] ~= 'begin' and ends <= now then
  return 0
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return 1
