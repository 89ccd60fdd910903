-- Writes values, all or none: every condition is checked first, then everything is written, in order.
--
-- KEYS[1]  the key of the first write; KEYS[2].. of the others; a key may come again
-- ARGV     three for each write:
--          condition   '*' none | '-' there must be nothing | '=' with a revision: that must be the current one
--          ttl         milliseconds | 'never' | 'keep' what remains, so there must be something | 'remove' the value
--          value       as it is stored, see docs/keys.md; '' to remove
-- Returns  { KEYS[1], 0 } when all was written; { KEYS[1], number of the first write refused, 'exists' | 'changed' | 'missing' }
--
-- Invariants: nothing is written unless everything is; no revision fits a key that is not there; a value of another type is an
-- error and stays as it is, unless it is removed without a condition.

local function refusal(key, condition, ttl)
  if condition == '*' and ttl == 'remove' then return nil end
  local head = redis.pcall('GETRANGE', key, 0, 16)
  if type(head) == 'table' then return head end
  local there = head ~= '' or redis.call('EXISTS', key) == 1
  if condition == '-' and there then return 'exists' end
  if string.sub(condition, 1, 1) == '=' and head ~= '1' .. string.sub(condition, 2) then return 'changed' end
  if ttl == 'keep' and not there then return 'missing' end
end

for i, key in ipairs(KEYS) do
  local refused = refusal(key, ARGV[3 * i - 2], ARGV[3 * i - 1])
  if type(refused) == 'table' then return refused end
  if refused then return { KEYS[1], i, refused } end
end
for i, key in ipairs(KEYS) do
  local ttl, value = ARGV[3 * i - 1], ARGV[3 * i]
  if ttl == 'remove' then
    redis.call('DEL', key)
  elseif ttl == 'keep' then
    redis.call('SET', key, value, 'KEEPTTL')
  elseif ttl == 'never' then
    redis.call('SET', key, value)
  else
    redis.call('SET', key, value, 'PX', ttl)
  end
end
return { KEYS[1], 0 }
