-- Writes a session: makes it, changes entries, rotates its secret, signs in, or only touches it. All or nothing.
--
-- KEYS[1]  the session's hash
-- ARGV     1 handle            the record's check of its own key
--          2 expected          'new', or the generation that was loaded
--          3 presented         hash of the secret that the request showed; '' outside of requests
--          4 rotation          '' | 'swap' (the old secret ends now) | 'renew' (it ends once the new one is seen)
--          5 secret            hash of the new secret; '' without rotation
--          6 grace             ms for which the old secret still counts after the new one was seen
--          7 idle              ms; '' keeps what is stored
--          8 absolute          ms from now; '' keeps what is stored
--          9 principal         '' keeps; '=NAME' signs NAME in; '=' signs out
--         10 touch             ms; a change of entries alone moves the idle timer at most this often; '': not at all
--         11 most              the largest number of fields; '': the changes add none
--         12 not after       ms; from this server time on nobody waits any more, and nothing is written; '': no such time
--         13.. changes         's' field value | 'r' field | 'c' (all entries) | 'i' field by
--          or, for one change of a field that is there, while no timer is due:
--          1 line              the metadata as it was loaded, with the secret that the request showed
--          2 grace             as 6 above
--          3.. change          's' field value | 'i' field by
-- Returns  { KEYS[1], status, now (ms; 0: not asked for), meta, results of 'i'... }
--          status: 'ok' | 'gone' | 'exists' | 'full' | 'type' | 'late'; meta is '' when it did not change. A renewal that
--          another request did first is left out: then meta does not hold the new secret
--
-- Invariants: never makes a session unless 'new'; never writes a session that is gone, or that the presented secret
-- no longer opens; a record always has a time to live; times are the server's.

local key, argv = KEYS[1], ARGV
local fields = '^1 (%S+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (%S+) (%d+) (.*)$'

-- The usual write: what was loaded still stands. Two commands. What is added must be a number that Lua can take back exactly.
if #argv == 5 then
  local op, field, value = argv[3], argv[4], argv[5]
  if redis.call('HGET', key, '@') == argv[1] and (op == 's' or math.abs(tonumber(value)) <= 9007199254740991) then
    if op == 's' then
      redis.call('HSET', key, field, value)
      return { key, 'ok', 0, '' }
    end
    local sum = redis.pcall('HINCRBY', key, field, value)
    if type(sum) == 'number' and math.abs(sum) <= 9007199254740991 then return { key, 'ok', 0, '', sum } end
    if type(sum) == 'number' then
      redis.call('HINCRBY', key, field, string.format('%.0f', -tonumber(value)))
    elseif string.sub(sum.err, 1, 4) ~= 'ERR ' then
      return sum
    end
    return { key, 'type', 0, '' }
  end
  -- Something else changed meanwhile, which the long way can tell from an end.
  local handle, generation, _, _, _, _, _, _, _, secret = string.match(argv[1], fields)
  argv = { handle, generation, secret, '', '', argv[2], '', '', '', '', '', '', op, field, value }
end

local handle, expected, presented = argv[1], argv[2], argv[3]
local rotation, secret, grace = argv[4], argv[5], tonumber(argv[6])

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function answer(status, meta, results)
  local reply = { key, status, now, meta or '' }
  for _, n in ipairs(results or {}) do reply[#reply + 1] = n end
  return reply
end

if argv[12] ~= '' and now >= tonumber(argv[12]) then return answer('late') end

local s = { generation = 0, created = now, seen = 0, renewed = now, authenticated = 0, idle = 0, deadline = 0,
            grace_until = 0, secret = secret, previous = '-', principal = '' }
if expected == 'new' then
  if redis.call('EXISTS', key) == 1 then return answer('exists') end
else
  local line = redis.call('HGET', key, '@')
  if not line then return answer('gone') end
  local h, length
  h, s.generation, s.created, s.seen, s.renewed, s.authenticated, s.idle, s.deadline, s.grace_until, s.secret,
    s.previous, length, s.principal =
    string.match(line, fields)
  if h ~= handle or s.generation ~= expected or #s.principal ~= tonumber(length) then return answer('gone') end
  for _, name in ipairs({ 'generation', 'created', 'seen', 'renewed', 'authenticated', 'idle', 'deadline', 'grace_until' }) do
    s[name] = tonumber(s[name])
  end
  local by_previous = s.previous ~= '-' and presented == s.previous and (s.grace_until == 0 or now < s.grace_until)
  if presented ~= '' and presented ~= s.secret and not by_previous then return answer('gone') end
end

-- What would be refused is refused before anything is written.
local most, added, i = tonumber(argv[11]) or math.huge, 0, 13
while i <= #argv do
  local op = argv[i]
  if op == 'i' then
    local value = redis.call('HGET', key, argv[i + 1]) or '0'
    local sum = (tonumber(value) or 0) + tonumber(argv[i + 2])
    if value ~= '0' and not string.match(value, '^-?[1-9]%d*$') then return answer('type') end
    if math.abs(sum) > 9007199254740991 then return answer('type') end
  end
  if op == 's' or op == 'i' then added = added + 1 end
  i = i + ((op == 'c' and 1) or (op == 'r' and 2) or 3)
end
if added > 0 and most < math.huge and redis.call('HLEN', key) + added > most then
  local names = {}
  for _, name in ipairs(redis.call('HKEYS', key)) do names[name] = true end
  i = 13
  while i <= #argv do
    local op = argv[i]
    if op == 'c' then
      for name in pairs(names) do if string.sub(name, 1, 1) ~= '@' then names[name] = nil end end
    elseif op == 'r' then names[argv[i + 1]] = nil
    else names[argv[i + 1]] = true end
    i = i + ((op == 'c' and 1) or (op == 'r' and 2) or 3)
  end
  local count = 1
  for name in pairs(names) do if name ~= '@' then count = count + 1 end end
  if count > most then return answer('full') end
end

-- Lifecycle.
local lifecycle = expected == 'new' or argv[7] ~= '' or argv[8] ~= '' or argv[9] ~= ''
if rotation == 'renew' and presented ~= s.secret and (s.grace_until ~= 0 or now - s.renewed < grace) then
  rotation = '' -- another request renewed first
end
if rotation == 'renew' then
  s.previous, s.secret, s.grace_until, s.renewed, lifecycle = presented, secret, 0, now, true
elseif rotation == 'swap' then
  s.previous, s.secret, s.grace_until, s.renewed, lifecycle = '-', secret, 0, now, true
  if expected ~= 'new' then s.generation = s.generation + 1 end
elseif s.previous ~= '-' and s.grace_until == 0 and presented == s.secret then
  s.grace_until, lifecycle = now + grace, true
end
if argv[7] ~= '' then s.idle = tonumber(argv[7]) end
if argv[8] ~= '' then s.deadline = now + tonumber(argv[8]) end
if argv[9] ~= '' then
  s.principal = string.sub(argv[9], 2)
  s.authenticated = (s.principal ~= '' and now) or 0
end

local sets, results = {}, {}
local function flush()
  if #sets > 0 then redis.call('HSET', key, unpack(sets)) end
  sets = {}
end

local line
if lifecycle or now - s.seen >= (tonumber(argv[10]) or math.huge) or now < s.seen then
  s.seen = now
  local ttl = math.min(s.idle, s.deadline - now)
  if ttl <= 0 then
    redis.call('DEL', key)
    return answer('gone')
  end
  line = string.format('1 %s %.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f %s %s %d ', handle, s.generation, s.created, s.seen,
    s.renewed, s.authenticated, s.idle, s.deadline, s.grace_until, s.secret, s.previous, #s.principal) .. s.principal
  sets = { '@', line }
  if expected == 'new' then flush() end
end

i = 13
while i <= #argv do
  local op, field = argv[i], argv[i + 1]
  if op == 's' then
    sets[#sets + 1], sets[#sets + 2] = field, argv[i + 2]
    i = i + 3
  elseif op == 'i' then
    flush()
    results[#results + 1] = redis.call('HINCRBY', key, field, argv[i + 2])
    i = i + 3
  elseif op == 'r' then
    flush()
    redis.call('HDEL', key, field)
    i = i + 2
  else
    flush()
    for _, name in ipairs(redis.call('HKEYS', key)) do
      if string.sub(name, 1, 1) ~= '@' then redis.call('HDEL', key, name) end
    end
    i = i + 1
  end
end
flush()
if line then redis.call('PEXPIRE', key, math.min(s.idle, s.deadline - now)) end
return answer('ok', line, results)
