-- Appends an item to a bounded list; the oldest make room.
--
-- KEYS[1]  the list, oldest first
-- ARGV     1 item
--          2 most    how many items it may have
--          3 ttl     of the whole list from now on: milliseconds | 'never' | 'keep' what remains, so there must be a list
-- Returns  { KEYS[1], the number of items }; 0: there was no list whose end could be kept
--
-- Invariants: the list never has more than `most` items after this script.

local key, ttl = KEYS[1], ARGV[3]
if ttl == 'keep' and redis.call('EXISTS', key) == 0 then return { key, 0 } end
local pushed = redis.pcall('RPUSH', key, ARGV[1])
if type(pushed) == 'table' then return pushed end
redis.call('LTRIM', key, '-' .. ARGV[2], -1)
if ttl == 'never' then
  redis.call('PERSIST', key)
elseif ttl ~= 'keep' then
  redis.call('PEXPIRE', key, ttl)
end
return { key, math.min(pushed, tonumber(ARGV[2])) }
