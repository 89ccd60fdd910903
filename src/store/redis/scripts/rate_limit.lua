-- Decides one or several limits of a request, all or nothing, or changes what they have counted.
--
-- KEYS[1]  the state of the first limit, KEYS[2].. those of further ones: strings USED:SINCE[:BEFORE][!LEFT:FROM], see
--          docs/keys.md; all in one Cluster slot
-- ARGV     1 verb        'take' (charge all limits, or none) | 'peek' (write nothing) | 'add' (charge whatever is left; below
--                        zero: give back) | 'ban' (refuse everything for a time; 0 lifts it)
--          and for each key
--          2 kind        'b' token bucket | 'w' fixed window | 's' sliding window counter
--          3 most        what a full limit holds
--          4 want        what this request takes, in the same unit; 'ban': microseconds
--          5 rate        'b': how much drains in a microsecond; 'w': the window's microseconds; 's': its milliseconds
-- Returns  { KEYS[1], now, states... }: the server's time in microseconds, below zero when a limit refused (nothing was charged
--          then), and each state as it is now
--
-- Invariants: whole numbers below 2^53 only; nothing is charged unless all limits admit; a key always has a time to live, and
-- never ends before its state is that of a missing key; a clock that stepped back is believed at once, and what was counted
-- stays counted.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local verb = ARGV[1]

-- The usual request: one bucket that nobody banned, of which something is taken. The same rules in short.
if #KEYS == 1 and verb == 'take' and ARGV[2] == 'b' then
  local key, most, want, rate = KEYS[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
  local held = redis.pcall('GET', key)
  local u, s
  if not held then u, s = 0, now elseif type(held) == 'string' then u, s = string.match(held, '^(%d+):(%d+)$') end
  local since = tonumber(s)
  if u and since <= now and want > 0 then
    local used = math.max(0, math.min(tonumber(u), most) - (now - since) * rate)
    if used > most - want then return { key, -now, string.format('%.0f:%.0f', used, now) } end
    local state = string.format('%.0f:%.0f', used + want, now)
    redis.call('SET', key, state, 'PX', math.ceil((used + want) / rate / 1000) + 1)
    return { key, now, state }
  end
end

local reply, limits, admitted = { KEYS[1], now }, {}, true

for i, key in ipairs(KEYS) do
  local at = 4 * i
  local kind, most, want, rate = ARGV[at - 2], tonumber(ARGV[at - 1]), tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local used, since, before, left, from, back = 0, now, 0, 0, now, false
  local held = redis.pcall('GET', key)
  if type(held) == 'string' then
    local u, s, rest = string.match(held, '^(%d+):(%d+)(.*)$')
    if u then
      used, since = math.min(tonumber(u), most), tonumber(s)
      if rest ~= '' then
        if kind == 's' then before = math.min(tonumber(string.match(rest, '^:(%d+)') or 0), most) end
        local l, f = string.match(rest, '!(%d+):(%d+)$')
        if l then left, from = math.min(tonumber(l), 3155760000000000), tonumber(f) end
      end
      back = since > now or from > now
      since, from = math.min(since, now), math.min(from, now)
      if now - from >= left then left, from = 0, now end
    end
  elseif held and string.sub(held.err, 1, 9) ~= 'WRONGTYPE' then
    return held -- a foreign value counts as none, and is overwritten
  end
  local fits
  if kind == 'b' then
    used, since = math.max(0, used - (now - since) * rate), now
    fits = used <= most - want
  elseif kind == 'w' then
    if now - since >= rate then used, since = 0, now end
    fits = used <= most - want
  else
    local window = rate * 1000
    if now - since >= 2 * window then
      used, before, since = 0, 0, now
    elseif now - since >= window then
      used, before, since = 0, used, since + window
    end
    fits = before * (rate - math.floor((now - since) / 1000)) <= (most - used - want) * rate
  end
  if left > 0 or not fits then admitted = false end
  limits[i] = { kind, most, want, rate, used, since, before, left, from, back }
end

local decides = verb == 'take' or verb == 'peek'
if decides and not admitted then reply[2] = -now end
for i, key in ipairs(KEYS) do
  local kind, most, want, rate, used, since, before, left, from, back = unpack(limits[i])
  local write = back and verb ~= 'peek'
  if verb == 'ban' then
    left, from, write = want, now, true
  elseif verb == 'add' or (verb == 'take' and admitted and want ~= 0) then
    used, write = math.max(0, math.min(most, used + want)), true
  end
  local state = string.format('%.0f:%.0f', used, since)
  if before > 0 then state = state .. string.format(':%.0f', before) end
  if left > 0 then state = state .. string.format('!%.0f:%.0f', left, from) end
  reply[i + 2] = state
  if write and used == 0 and before == 0 and left == 0 then
    redis.call('DEL', key)
  elseif write then
    local ends = (kind == 'b' and used / rate) or (kind == 'w' and since + rate - now) or since + 2000 * rate - now
    local ttl = math.ceil(math.max(ends, from + left - now) / 1000) + 1
    redis.call('SET', key, state, 'PX', ttl)
  end
end
return reply
