-- Adds to a counter.
--
-- KEYS[1]  the counter: a whole number as text
-- ARGV     1 by      what is added, a signed 64-bit number
--          2 ttl     of a counter that begins with this call: milliseconds | 'never'
-- Returns  { KEYS[1], the sum as text }; { KEYS[1] } when the key holds no such number, or the sum would be none
--
-- Invariants: a counter that goes on keeps its end; what cannot be added to stays as it is.

local key, ttl = KEYS[1], ARGV[2]
local new = redis.call('EXISTS', key) == 0
local sum = redis.pcall('INCRBY', key, ARGV[1])
if type(sum) == 'table' then
  if string.find(sum.err, 'integer') or string.find(sum.err, 'overflow') then return { key } end
  return sum
end
if new and ttl ~= 'never' then redis.call('PEXPIRE', key, ttl) end
return { key, redis.call('GET', key) } -- as text: Lua's numbers end at 2^53
