-- Stores a response under its URL, or as a variant of it, if who brings it is still the one who fills it.
--
-- KEYS[1]  what is stored for the URL, see docs/keys.md; KEYS[2] who fills it (a sorted set of tokens by their end, microseconds);
-- KEYS[3]  only for a variant: where that lies
-- ARGV     1 token
--          2 ttl         milliseconds
--          3 stored      the response, as the cache writes it
--          4 expected    COUNTER and GENERATION of the variants that were seen; '': none, or the right is one to the whole URL
--          and for a variant
--          5 generation  that of KEYS[3]: the one expected, or a new one where there is none
--          6 fields      the request fields by which variants differ
--          7 most        how many variants of a generation are stored; with more, the URL begins anew
--          8 sets        how many sets of fields are kept
-- Returns  { KEYS[1], 'stored' | 'lost' (somebody else fills, or the URL was purged) | 'changed' | 'full' }
--
-- Invariants: who was purged or overtaken stores nothing; a variant is only stored in the generation that the URL names; each key
-- has a time to live; the right to fill ends with the call.

local url, fill, variant = KEYS[1], KEYS[2], KEYS[3]
local token, ttl, stored = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ends = redis.pcall('ZSCORE', fill, token)
if type(ends) ~= 'string' or tonumber(ends) <= now then return { url, 'lost' } end
redis.call('ZREM', fill, token)

local expected = ARGV[4]
local held = redis.pcall('GET', url)
held = type(held) == 'string' and held or ''
local counter, current, count, rest = string.match(held, '^S(%x%x%x%x%x%x%x%x)(%S+) (%d+)\n(.*)$')
local seen = current and counter .. current or ''
if seen ~= expected and (variant or expected ~= '') then return { url, 'changed' } end

if not variant then
  redis.call('SET', url, 'E00000000' .. stored, 'PX', ttl)
  return { url, 'stored' }
end

local generation, fields, most, sets = ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
if not current then counter, count, rest = '00000000', 0, '' end
count = tonumber(count)
if redis.call('EXISTS', variant) == 0 then count = count + 1 end
if count > most then
  redis.call('DEL', url)
  return { url, 'full' }
end
local lines = { fields }
for line in string.gmatch(rest, '([^\n]+)\n') do
  if line ~= fields and #lines < sets then lines[#lines + 1] = line end
end
redis.call('SET', variant, 'E' .. counter .. stored, 'PX', ttl)
local spec = 'S' .. counter .. generation .. ' ' .. count .. '\n' .. table.concat(lines, '\n') .. '\n'
redis.call('SET', url, spec, 'PX', math.max(ttl, redis.call('PTTL', url)))
return { url, 'stored' }
