-- Makes what is stored for a URL stale, and lets nobody store what a handler answered before.
--
-- KEYS[1]  what is stored for the URL, see docs/keys.md; KEYS[2] who fills it
-- ARGV     none
-- Returns  { KEYS[1], 1 (something was there) or 0 }
--
-- Invariants: the key keeps its time to live; a value that is none of ours stays as it is.

local url, fill = KEYS[1], KEYS[2]
redis.call('DEL', fill)
local head = redis.pcall('GETRANGE', url, 0, 8)
local counter = type(head) == 'string' and string.match(head, '^[ES](%x%x%x%x%x%x%x%x)$')
if not counter then return { url, 0 } end
redis.call('SETRANGE', url, 1, string.format('%08x', (tonumber(counter, 16) + 1) % 4294967296))
return { url, 1 }
