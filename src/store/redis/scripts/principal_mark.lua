-- Marks a revocation of all sessions of a principal and lists them, so that they can be removed.
--
-- KEYS[1]  the index: a sorted set of handles by expiry (microseconds); member '@revoked' marks the last revocation
-- ARGV     1 retention   ms for which the revocation is remembered
-- Returns  { KEYS[1], now (microseconds), handles... }
--
-- Invariant: the members stay until their sessions have been removed, so that a revocation that broke off in between can
-- be repeated.

local key, retention = KEYS[1], tonumber(ARGV[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local reply = { key, now }

local trimmed = redis.pcall('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
if type(trimmed) == 'table' and trimmed.err then
  if string.sub(trimmed.err, 1, 9) ~= 'WRONGTYPE' then return trimmed end
  redis.call('DEL', key) -- a foreign value must not keep a principal out for ever
end
for _, handle in ipairs(redis.call('ZRANGE', key, 0, -1)) do
  if handle ~= '@revoked' then reply[#reply + 1] = handle end
end
redis.call('ZADD', key, string.format('%.0f', now + retention * 1000), '@revoked')
local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', key, string.format('%.0f', math.ceil(tonumber(last[2]) / 1000)))
return reply
