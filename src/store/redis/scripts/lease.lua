-- Takes, prolongs or gives back one of a limited number of leases.
--
-- KEYS[1]  the leases: a sorted set of tokens by their end (microseconds)
-- ARGV     1 verb        'take' | 'renew' (only one that is held) | 'release'
--          2 token
--          3 most        how many may be held at once
--          4 ttl         microseconds for which a lease is held unless it is renewed
-- Returns  { KEYS[1], now, done (1 or 0), how many are held, the next end (0: none is held) }, times in microseconds
--
-- Invariants: never more than `most` are held; a lease that nobody renews ends by itself, also when the clock stepped back:
-- none ends later than `ttl` from now; the set ends with its last lease.

local key, verb, token, most, ttl = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ends = string.format('%.0f', now + ttl)

local trimmed = redis.pcall('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
if type(trimmed) == 'table' and trimmed.err then
  if string.sub(trimmed.err, 1, 9) ~= 'WRONGTYPE' then return trimmed end
  redis.call('DEL', key) -- a foreign value must not keep everybody out for ever
end
for _, other in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. ends, '+inf')) do redis.call('ZADD', key, ends, other) end

local done = redis.call('ZSCORE', key, token) and true
if verb == 'release' then
  redis.call('ZREM', key, token)
elseif done or (verb == 'take' and redis.call('ZCARD', key) < most) then
  done = true
  redis.call('ZADD', key, ends, token)
  redis.call('PEXPIRE', key, math.ceil(ttl / 1000) + 1)
end
local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
return { key, now, done and 1 or 0, redis.call('ZCARD', key), tonumber(first[2] or 0) }
