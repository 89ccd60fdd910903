-- Takes, extends, gives back or breaks a lock.
--
-- KEYS[1]  the lock: 'TOKEN FENCE', for as long as somebody holds it; KEYS[2] the last fencing number
-- ARGV     1 verb      'take' | 'extend' | 'release' | 'break' (whoever holds it)
--          2 token     of the holder, random
--          3 ttl       milliseconds for which it is held from now on
--          4 memory    milliseconds for which the last fencing number is remembered
--          5 not after milliseconds by the server's clock, or '': later it is not taken
-- Returns  { KEYS[1], 1 (done) or 0, fencing number of the holder or 0, milliseconds for which the lock is still held (0: free) }
--
-- Invariants: at most one holds it; only its holder extends it and gives it back; of two numbers the later is the larger, also when
-- the one before it was lost: it is never below the clock in microseconds.

local lock, last, verb, token = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local held = redis.pcall('GET', lock)
if type(held) == 'table' then return held end
local owner, fence = string.match(held or '', '^(%S+) (%d+)$')
local mine = owner == token

local done, ttl = 0, tonumber(ARGV[3])
if verb == 'take' and not held then
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  if ARGV[5] ~= '' and now > tonumber(ARGV[5]) * 1000 then return { lock, 0, 0, 0 } end
  local before = redis.pcall('GET', last)
  before = type(before) == 'string' and tonumber(before) or 0
  fence = string.format('%.0f', math.max(now, before + 1))
  redis.call('SET', last, fence, 'PX', ARGV[4])
  redis.call('SET', lock, token .. ' ' .. fence, 'PX', ttl)
  return { lock, 1, tonumber(fence), ttl }
elseif verb == 'extend' and mine then
  redis.call('PEXPIRE', lock, ttl)
  done = 1
elseif held and (verb == 'break' or (verb == 'release' and mine)) then
  redis.call('DEL', lock)
  return { lock, 1, tonumber(fence or 0), 0 }
end
return { lock, done, tonumber(fence or 0), math.max(redis.call('PTTL', lock), 0) }
