-- Adds a member to a bounded set.
--
-- KEYS[1]  the set
-- ARGV     1 member
--          2 most    how many members it may have
--          3 ttl     of the whole set from now on: milliseconds | 'never' | 'keep' what remains, so there must be a set
-- Returns  { KEYS[1], 'new' | 'already' | 'full' | 'missing' }
--
-- Invariants: the set never has more than `most` members by this script; who is refused changes nothing.

local key, member, ttl = KEYS[1], ARGV[1], ARGV[3]
local already = redis.pcall('SISMEMBER', key, member)
if type(already) == 'table' then return already end
if already == 0 then
  local count = redis.call('SCARD', key)
  if ttl == 'keep' and count == 0 then return { key, 'missing' } end
  if count >= tonumber(ARGV[2]) then return { key, 'full' } end
  redis.call('SADD', key, member)
end
if ttl == 'never' then
  redis.call('PERSIST', key)
elseif ttl ~= 'keep' then
  redis.call('PEXPIRE', key, ttl)
end
return { key, already == 1 and 'already' or 'new' }
