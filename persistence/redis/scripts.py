"""The Lua that Redis runs in one step, with no other command in between.

Each script may be run again when its answer was lost: ``WRITE`` remembers the result of a writer's last group. The
lease scripts look at the caller's identity.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1
from typing import Final


@dataclass(frozen=True)
class Script:
    """A Lua script and the name by which Redis knows it once it has seen it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", sha1(self.text.encode(), usedforsecurity=False).hexdigest())


WRITE: Final = Script(
    r"""
-- KEYS: the prefix. ARGV: writer, group, not after (ms of this clock), fence or '', the store's identity, how many
-- groups it must have, then the jobs one after the other.
-- Answer: now in ms, 'done' | 'late' | 'stale' | 'fenced' | 'forgotten', the results: a number, or what was in the way
-- of a commit; then how many groups it has. After 'forgotten' the results are identity and number as found.
local prefix, group, fence = KEYS[1], tonumber(ARGV[2]), ARGV[4]
local meta = prefix .. ':meta'
local writer = prefix .. ':writer:' .. ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local found = redis.call('HMGET', meta, 'identity', 'written')
local written = found[2] or '0'
if found[1] ~= ARGV[5] or tonumber(written) < tonumber(ARGV[6]) then
  return {now, 'forgotten', {found[1], written}, 0}
end

local last = redis.call('GET', writer)
if last then
  last = cmsgpack.unpack(last)
  if last[1] == group then
    redis.call('EXPIRE', writer, 60) -- a write, so that WAIT behind it waits for what the first try has written
    return {now, 'done', last[2], tonumber(written)}
  end
  if last[1] > group then return {now, 'stale', {}, 0} end
end
if now > tonumber(ARGV[3]) then return {now, 'late', {}, 0} end
if fence ~= '' and redis.call('GET', prefix .. ':fence') ~= fence then return {now, 'fenced', {}, 0} end

local at, has_written = 7, false
local function take()
  at = at + 1
  return ARGV[at - 1]
end

local function entries_of(packed)
  if packed == '' then return {} end
  return cmsgpack.unpack(packed)
end

local function hash_of(kind) return prefix .. ':documents:' .. kind end

-- Everything is looked at before anything is written.
local function look(count)
  local olds, versions = {}, {}
  for i = 0, count - 1 do
    local from = at + i * 5
    local kind, key, expected = ARGV[from], ARGV[from + 1], ARGV[from + 2]
    local name = kind .. ':' .. key
    if not olds[name] then
      local value = redis.call('HGET', hash_of(kind), key)
      local version, length = 0, 0
      if value then version, length = struct.unpack('>I4I4', value) end
      olds[name] = {version, entries_of(value and string.sub(value, 9, 8 + length) or '')}
      versions[name] = version
    end
    if expected == 'delete' then
      versions[name] = 0
    elseif expected ~= '' and tonumber(expected) ~= versions[name] then
      return nil, 'a ' .. kind .. ' is at version ' .. versions[name] .. ', not ' .. expected
    else
      versions[name] = versions[name] + 1
    end
  end
  return olds
end

local function change_entries(kind, key, had, has)
  local index, keep, old = prefix .. ':index:' .. kind .. ':', {}, {}
  for i = 1, #has, 2 do keep[has[i] .. ':' .. has[i + 1]] = true end
  for i = 1, #had, 2 do
    local entry = had[i] .. ':' .. had[i + 1]
    old[entry] = true
    if not keep[entry] then redis.call('ZREM', index .. had[i], had[i + 1] .. key) end
  end
  for i = 1, #has, 2 do
    if not old[has[i] .. ':' .. has[i + 1]] then redis.call('ZADD', index .. has[i], 0, has[i + 1] .. key) end
  end
end

local function write(count, olds)
  for _ = 1, count do
    local kind, key, expected, packed, record = take(), take(), take(), take(), take()
    local name, has = kind .. ':' .. key, entries_of(packed)
    local version, had = olds[name][1], olds[name][2]
    change_entries(kind, key, had, has)
    if expected == 'delete' then
      redis.call('HDEL', hash_of(kind), key)
      olds[name] = {0, has}
    else
      redis.call('HSET', hash_of(kind), key, struct.pack('>I4I4', version + 1, #packed) .. packed .. record)
      olds[name] = {version + 1, has}
    end
  end
end

local function write_states(partition, count)
  while count > 0 do
    local pairs_now = math.min(count, 1000)
    redis.call('HSET', prefix .. ':states:' .. partition, unpack(ARGV, at, at + 2 * pairs_now - 1))
    at, count = at + 2 * pairs_now, count - pairs_now
  end
end

local jobs = {}

function jobs.append()
  local id = redis.call('XADD', prefix .. ':log', '0-*', 'e', take())
  has_written = true
  return tonumber(string.sub(id, 3))
end

function jobs.commit()
  local count = tonumber(take())
  local olds, conflict = look(count)
  if conflict then
    at = at + 5 * count
    return conflict
  end
  write(count, olds)
  has_written = true
  return 0
end

function jobs.checkpoint()
  local partition, watermark, states = take(), take(), tonumber(take())
  local first = at
  at = at + 2 * states
  local conflict = jobs.commit()
  if conflict ~= 0 then return conflict end
  local rest = at
  at = first
  write_states(partition, states)
  at = rest
  local had = redis.call('HGET', prefix .. ':watermarks', partition)
  if not had or tonumber(watermark) > tonumber(had) then
    redis.call('HSET', prefix .. ':watermarks', partition, watermark)
  end
  return 0
end

-- Writes nothing but the writer's own record: WAIT behind it tells that replicas have all that was written before.
function jobs.touch()
  has_written = true
  return 0
end

function jobs.trim()
  local through, at_most = tonumber(take()), tonumber(take())
  local first = redis.call('XRANGE', prefix .. ':log', '-', '+', 'COUNT', 1)[1]
  if not first then return 0 end
  local last = math.min(through, tonumber(string.sub(first[1], 3)) + at_most - 1)
  local gone = redis.call('XTRIM', prefix .. ':log', 'MINID', '=', string.format('0-%.0f', last + 1))
  has_written = has_written or gone > 0
  return gone
end

local results = {}
while at <= #ARGV do results[#results + 1] = jobs[take()]() end
-- A Redis whose memory is full refuses this in a script that has not written: so trimming goes on.
if has_written then
  redis.call('SET', writer, cmsgpack.pack({group, results}), 'EX', 60)
  written = redis.call('HINCRBY', meta, 'written', 1)
end
return {now, 'done', results, tonumber(written)}
"""
)

FIND: Final = Script(
    r"""
-- KEYS: index, documents. ARGV: the two ends, how many, '1' for descending, how many bytes of a member are its value.
local by = ARGV[4] == '1' and 'ZREVRANGEBYLEX' or 'ZRANGEBYLEX'
local members = redis.call(by, KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
if #members == 0 then return {{}, {}} end
local keys = {}
for i, member in ipairs(members) do
  local _, last = string.find(member, '\0\1', tonumber(ARGV[5]) + 1, true)
  keys[i] = string.sub(member, last + 1)
end
return {members, redis.call('HMGET', KEYS[2], unpack(keys))}
"""
)

FORMAT_OF: Final = Script(
    r"""
-- KEYS: the prefix. ARGV: application, format, an identity, '1' when a store may be made where nothing is.
-- Answer: the format ('none' where nothing is, '' for another program's keys) and the store's identity.
local meta = KEYS[1] .. ':meta'
local kind = redis.call('TYPE', meta).ok
if kind == 'none' then
  if redis.call('EXISTS', KEYS[1] .. ':log', KEYS[1] .. ':secrets', KEYS[1] .. ':fence') > 0 then return {'', ''} end
  if ARGV[4] ~= '1' then return {'none', ''} end
  redis.call('HSET', meta, 'application', ARGV[1], 'format', ARGV[2], 'identity', ARGV[3])
elseif kind ~= 'hash' or redis.call('HGET', meta, 'application') ~= ARGV[1] then
  return {'', ''}
end
local format, identity = unpack(redis.call('HMGET', meta, 'format', 'identity'))
return {identity and format or '', identity or ''}
"""
)

CLAIM: Final = Script(
    r"""
-- KEYS: the prefix. ARGV: who asks (unique), where it runs, ms of the lease. Answer: fence or '', then the holder's:
-- id, place, beat.
local fence, lease = KEYS[1] .. ':fence', KEYS[1] .. ':lease'
local held = redis.call('HMGET', lease, 'id', 'place', 'beat')
if held[1] == ARGV[1] then return {redis.call('GET', fence), '', '', ''} end
if held[1] then return {'', held[1], held[2] or '', held[3] or ''} end
-- The clock makes a fence that was never given before, also when an older copy of the data is back.
local time = redis.call('TIME')
local number = math.max((tonumber(redis.call('GET', fence) or '0') or 0) + 1, time[1] * 1000 + math.floor(time[2] / 1000))
number = string.format('%.0f', number)
redis.call('SET', fence, number)
redis.call('HSET', lease, 'id', ARGV[1], 'place', ARGV[2], 'beat', 0)
redis.call('PEXPIRE', lease, ARGV[3])
return {number, '', '', ''}
"""
)

RENEW: Final = Script(
    r"""
-- KEYS: the prefix. ARGV: who, where, ms of the lease, fence. Answer: 0 when another has served since, -1 when the
-- data are gone or older than the fence. A lease that ran out while nobody came is taken up again.
local fence = redis.call('GET', KEYS[1] .. ':fence')
if fence ~= ARGV[4] then
  if not fence or tonumber(fence) < tonumber(ARGV[4]) then return -1 end
  return 0
end
-- PEXPIRE first: it works in a full memory, too, and after it so do the others.
local lease = KEYS[1] .. ':lease'
redis.call('PEXPIRE', lease, ARGV[3])
redis.call('HSET', lease, 'id', ARGV[1], 'place', ARGV[2])
redis.call('HINCRBY', lease, 'beat', 1)
redis.call('PEXPIRE', lease, ARGV[3])
return 1
"""
)

RELEASE: Final = Script(
    r"""
-- KEYS: the prefix. ARGV: who.
local lease = KEYS[1] .. ':lease'
if redis.call('HGET', lease, 'id') == ARGV[1] then redis.call('DEL', lease) end
return 0
"""
)
