-- Enters a session into its principal's index, or moves its expiry there.
--
-- KEYS[1]  the index: a sorted set of handles by expiry (microseconds); member '@revoked' marks the last revocation
-- ARGV     1 mode        'login' | 'refresh' (only if it is a member)
--          2 handle
--          3 ttl         ms until the session ends unless it is used
--          4 age         microseconds since the login was asked for
--          5 most        the largest number of parallel sessions; those that end first are to give way
--          6 retention   ms for which a revocation is remembered
-- Returns  { KEYS[1], status, now, last revocation (0: none remembered), handles that are to give way... }, times in
--          microseconds;  status: 'ok' | 'revoked' | 'absent'
--
-- Invariants: a login that was asked for before the last revocation is refused; what has expired is trimmed on each
-- write; the set itself ends with its last member; who is to give way stays until its session has been removed.

local key, mode, handle = KEYS[1], ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local reply = { key, 'ok', now, 0 }

local trimmed = redis.pcall('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
if type(trimmed) == 'table' and trimmed.err then
  if string.sub(trimmed.err, 1, 9) ~= 'WRONGTYPE' then return trimmed end
  redis.call('DEL', key) -- a foreign value must not keep a principal out for ever
end
local member = redis.call('ZSCORE', key, handle)
if mode == 'refresh' and not member then
  reply[2] = 'absent'
  return reply
end
local mark = redis.call('ZSCORE', key, '@revoked')
if mark then reply[4] = tonumber(mark) - tonumber(ARGV[6]) * 1000 end
if mode == 'login' then
  if mark and now - tonumber(ARGV[4]) < reply[4] then
    reply[2] = 'revoked'
    return reply
  end
  local count = redis.call('ZCARD', key) - ((mark and 1) or 0) - ((member and 1) or 0)
  local surplus = count - tonumber(ARGV[5]) + 1
  if surplus > 0 then
    for _, other in ipairs(redis.call('ZRANGE', key, 0, surplus + 1)) do
      if surplus > 0 and other ~= handle and other ~= '@revoked' then
        reply[#reply + 1] = other
        surplus = surplus - 1
      end
    end
  end
end
redis.call('ZADD', key, string.format('%.0f', now + tonumber(ARGV[3]) * 1000), handle)
local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', key, string.format('%.0f', math.ceil(tonumber(last[2]) / 1000)))
return reply
