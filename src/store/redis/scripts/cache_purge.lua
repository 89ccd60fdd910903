-- Purges what is stored under tags, below paths, or all of a namespace, in one step whatever there is.
--
-- KEYS[1]  the log of a namespace's purges, see docs/keys.md; KEYS[2].. the versions of the tags that are purged: HARD SOFT EPOCH
-- ARGV     1 namespace
--          2 fresh       a random word, the epoch of a new log
--          3 ttl         milliseconds that versions and lines outlive this call
--          4 severity    'h' (gone) | 's' (stale)
--          5 most        how many lines the log may have; with more of them all is purged
--          6 all         '1': everything, hard; '': only what is named
--          7.. patterns  paths, as the log has them
-- Returns  { KEYS[1], the number of this purge }
--
-- Invariants: whatever was stored before is at a lower number or of another epoch; each key has a time to live.

local name, ttl, severity, most = ARGV[1], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function read(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or ''
end

local log = read(KEYS[1])
local owner, epoch, number = string.match(log, '^(%S+) (%S+) (%d+)\n')
local lines = {}
if owner ~= name or ARGV[6] == '1' then
  epoch, number = ARGV[2], 1
else
  number = tonumber(number) + 1
  local replaced = {}
  for i = 7, #ARGV do replaced[ARGV[i]] = true end
  for line, kind, at, pattern in string.gmatch(log, '(%d+ (%S) (%d+) (%S+))\n') do
    -- A later purge of the same path says the same, unless it is milder.
    local again = replaced[pattern] and (severity == 'h' or kind == 's')
    if tonumber(at) + ttl > now and not again then lines[#lines + 1] = line end
  end
end
local count = string.format('%.0f', number)
for i = 7, #ARGV do lines[#lines + 1] = count .. ' ' .. severity .. ' ' .. string.format('%.0f', now) .. ' ' .. ARGV[i] end
if #lines > most then epoch, lines = ARGV[2], {} end
lines[#lines + 1] = ''
redis.call('SET', KEYS[1], name .. ' ' .. epoch .. ' ' .. count .. '\n' .. table.concat(lines, '\n'), 'PX', ttl)

for i = 2, #KEYS do
  local hard, soft, of = string.match(read(KEYS[i]), '^(%d+) (%d+) (%S+)$')
  local known = of == epoch and tonumber(hard) <= number and tonumber(soft) <= number
  if severity == 'h' or not known then hard = count end
  redis.call('SET', KEYS[i], hard .. ' ' .. count .. ' ' .. epoch, 'PX', ttl)
end
return { KEYS[1], number }
