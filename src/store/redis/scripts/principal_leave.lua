-- Takes a session out of its principal's index, unless somebody entered it anew since.
--
-- KEYS[1]  the index: a sorted set of handles by expiry (microseconds)
-- ARGV     1 handle
--          2 ends       the expiry with which it was entered, microseconds
-- Returns  { KEYS[1], 1 if it was taken out, else 0 }
--
-- Invariant: a member with another expiry stays.

local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if ends and tonumber(ends) == tonumber(ARGV[2]) then return { KEYS[1], redis.call('ZREM', KEYS[1], ARGV[1]) } end
return { KEYS[1], 0 }
