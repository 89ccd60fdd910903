-- Decides whether a response may be stored: nothing that concerns its tags was purged since its handler began. Makes what versions
-- are missing.
--
-- KEYS[1]  the log of a namespace's purges, see docs/keys.md; KEYS[2].. the versions of the response's tags: HARD SOFT EPOCH
-- ARGV     1 namespace
--          2 epoch       as seen before the handler ran; '' when there was no log
--          3 number      as seen before the handler ran
--          4 fresh       a random word, the epoch of a new log
--          5 ttl         milliseconds that versions outlive this call at least
-- Returns  { KEYS[1], 1 (admitted) or 0, epoch }
--
-- Invariants: what is missing, unreadable, of another epoch or ahead of the log counts as purged just now, unless nothing was purged at
-- all since the handler began; within an epoch a version never falls back; each key has a time to live.

local name, epoch, number, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])
local function read(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or ''
end
local function keep(key)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
end

local owner, current, last = string.match(read(KEYS[1]), '^(%S+) (%S+) (%d+)\n')
local admitted = true
if owner == name then
  last = tonumber(last)
  admitted = current == epoch or (epoch == '' and last == 0)
  keep(KEYS[1])
else
  current, last, admitted = ARGV[4], 0, epoch == ''
  redis.call('SET', KEYS[1], name .. ' ' .. current .. ' 0\n', 'PX', ttl)
end
for i = 2, #KEYS do
  local hard, soft, of = string.match(read(KEYS[i]), '^(%d+) (%d+) (%S+)$')
  if of == current and tonumber(hard) <= last and tonumber(soft) <= last then
    keep(KEYS[i])
  else
    hard = last
    local word = string.format('%.0f', last)
    redis.call('SET', KEYS[i], word .. ' ' .. word .. ' ' .. current, 'PX', ttl)
  end
  if tonumber(hard) > number then admitted = false end
end
return { KEYS[1], admitted and 1 or 0, current }
