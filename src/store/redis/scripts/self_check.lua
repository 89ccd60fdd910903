-- What the server is, and what its user may do.
--
-- KEYS[1]  a key under the prefix, which is neither read nor written
-- ARGV     any number of commands, words with one blank between them
-- Returns  { KEYS[1], version ('' before 7.0), maxmemory-policy ('' where nobody may ask), the numbers of commands that are refused … }
--
-- Invariants: writes nothing; asks for what it may ask for only, so that no refusal is logged by the server.

local reply = { KEYS[1], redis.REDIS_VERSION or '', '' }
if not redis.acl_check_cmd then return reply end
if redis.acl_check_cmd('INFO', 'memory') then
  reply[3] = string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:([%w-]+)') or ''
end
for i, command in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(command, '%S+') do words[#words + 1] = word end
  if not redis.acl_check_cmd(unpack(words)) then reply[#reply + 1] = i end
end
return reply
