"""Moves everything out of a Redis, and into an empty prefix of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final, Self, assert_never

from domain.registry import PARTITIONS, partition_of
from persistence.moving.facts import (
    DocumentFact,
    Fact,
    LogEndFact,
    LogFact,
    SecretFact,
    StateFact,
    WatermarkFact,
    log_tail_from,
)
from persistence.redis.address import RedisAddress
from persistence.redis.checks import Durability, verify
from persistence.redis.layout import (
    MOVING_IN,
    Keys,
    document_of,
    entries_of,
    is_hot,
    log_id,
    log_number,
    pack_document,
    pack_entries,
    pack_state,
    state_of,
    stem,
)
from persistence.redis.lease import LEASE_S, Lease
from persistence.redis.link import Link, Word
from persistence.redis.primary import Primary
from persistence.redis.scripts import Script
from persistence.redis.served import Served
from persistence.registry.documents import REVISION, REVISION_KEY
from persistence.store import IndexEntry, StoreUnavailable

ANSWER_S: Final = 30.0
"""Seconds for an answer: no caller waits for one of many commands here."""
CONNECTIONS: Final = 2
"""The connections: one of them is for the lease."""
SCAN_COUNT: Final = 1_000
PAGE: Final = 500
LOG_PAGE: Final = 20
"""Log entries read at once: they may be large."""
KEYS_A_WIPE: Final = 500


class _Mover:
    """A prefix of a Redis while no service uses it."""

    def __init__(self, address: RedisAddress) -> None:
        self.name = address.name
        self._keys = Keys(address.prefix)
        self._link = Link(
            Primary(address),
            address.name,
            connections=CONNECTIONS,
            answer_s=ANSWER_S,
            replicas=address.replicas,
            prove=Durability(address).prove,
        )
        self._served = Served(address)
        self._lease = Lease(self._link, address.prefix, address.name, lease_s=LEASE_S)
        self._fence = ""

    @classmethod
    async def open(cls, address: RedisAddress) -> Self:
        """Open it. Raises ``StoreUnavailable`` or ``StoreFormatError``, also while a service is using it."""
        mover = cls(address)
        try:
            to_move_in = cls is RedisDestination
            await verify(
                mover._link, address, to_move_in=to_move_in, was_served=lambda: mover._served.is_noted(mover._link)
            )
            mover._fence = await mover._lease.claim()
        except BaseException:
            await mover.close()
            raise
        return mover

    async def facts(self) -> AsyncIterator[list[Fact]]:
        """Yield the facts; see ``moving.Source``. Raises ``StoreUnavailable`` when an import wrote to it meanwhile."""
        revision = await self._revision()
        prefix = self._keys.documents("")
        kinds = [name.removeprefix(prefix) for name in await self._names() if name.startswith(prefix)]
        for kind in kinds:
            async for page in self._hash(self._keys.documents(kind)):
                yield [_document(kind, key.decode(), value) for key, value in page]
        for partition in range(PARTITIONS):
            async for page in self._hash(self._keys.states(partition)):
                yield [StateFact(key.decode(), is_hot(value), state_of(value)) for key, value in page]
        async for chunk in self._log():
            yield chunk
        async for page in self._hash(self._keys.watermarks):
            yield [WatermarkFact(int(partition), int(number)) for partition, number in page]
        async for page in self._hash(self._keys.secrets):
            yield [SecretFact(name.decode(), secret) for name, secret in page]
        if await self._revision() != revision:
            raise self._changed()

    async def close(self) -> None:
        """Let the next one in."""
        await self._lease.release()
        await self._link.close()

    async def _names(self) -> list[str]:
        """Return all keys below the prefix but those of the process that uses it now."""
        found: set[str] = set()
        cursor = b"0"
        mine = {self._keys.meta, self._keys.lease, self._keys.fence}
        while True:
            command = ("SCAN", cursor, "MATCH", f"{self._keys.prefix}:*", "COUNT", SCAN_COUNT)
            ((cursor, names),) = await self._link.ask(command)
            found.update(name.decode() for name in names)
            if cursor == b"0":
                return sorted(name for name in found - mine if not name.startswith(self._keys.writer("")))

    async def _hash(self, key: str) -> AsyncIterator[list[tuple[bytes, bytes]]]:
        """Yield each field of a hash once. The hash's length shows whether it was written to meanwhile."""
        seen, cursor = 0, b"0"
        while True:
            ((cursor, flat),) = await self._link.ask(("HSCAN", key, cursor, "COUNT", PAGE))
            seen += len(flat) // 2
            if flat:
                yield list(zip(flat[::2], flat[1::2], strict=True))
            if cursor == b"0":
                break
        if (await self._link.ask(("HLEN", key)))[0] != seen:
            raise self._changed()

    async def _log(self) -> AsyncIterator[list[Fact]]:
        (flat,) = await self._link.ask(("HVALS", self._keys.watermarks))
        newest, end = await self._log_ends()
        after = log_tail_from([int(number) for number in flat], newest) - 1
        while True:
            command = ("XRANGE", self._keys.log, f"({log_id(after)}" if after > 0 else "-", "+", "COUNT", LOG_PAGE)
            (entries,) = await self._link.ask(command)
            if not entries:
                break
            yield [LogFact(log_number(stream_id), fields[1]) for stream_id, fields in entries]
            after = log_number(entries[-1][0])
        if end:
            yield [LogEndFact(end)]

    async def _log_ends(self) -> tuple[int, int]:
        """Return the newest entry's number, and the greatest that was ever given."""
        newest, exists = await self._link.ask(
            ("XREVRANGE", self._keys.log, "+", "-", "COUNT", 1), ("EXISTS", self._keys.log)
        )
        if not exists:
            return 0, 0
        (flat,) = await self._link.ask(("XINFO", "STREAM", self._keys.log))
        known: dict[bytes, Any] = dict(zip(flat[::2], flat[1::2], strict=True))
        return log_number(newest[0][0]) if newest else 0, log_number(known[b"last-generated-id"])

    async def _revision(self) -> bytes | None:
        (value,) = await self._link.ask(("HGET", self._keys.documents(REVISION), REVISION_KEY))
        return value  # type: ignore[no-any-return]

    def _changed(self) -> StoreUnavailable:
        return StoreUnavailable(f"store {self.name}: another process wrote to it meanwhile (an import?): try again")


class RedisSource(_Mover):
    """A Redis as a source; see ``moving.Source``."""


class RedisDestination(_Mover):
    """A Redis as a destination; see ``moving.Destination``."""

    async def begin(self) -> None:
        """See ``moving.Destination``."""
        names = await self._names()
        (half,) = await self._link.ask(("HEXISTS", self._keys.meta, MOVING_IN))
        if names and not half:
            raise StoreUnavailable(f"store {self.name}: there is something in it already: choose an empty ?prefix=")
        await self._run(MARK)
        for start in range(0, len(names), KEYS_A_WIPE):
            await self._run(WIPE, *names[start : start + KEYS_A_WIPE])

    async def load(self, facts: Sequence[Fact]) -> None:
        """See ``moving.Destination``; one script."""
        words: list[Word] = []
        for fact in facts:
            words += self._words(fact)
        await self._run(LOAD, *words)

    async def reveal(self) -> None:
        """See ``moving.Destination``."""
        await self._run(REVEAL)

    async def _run(self, script: Script, *words: Word) -> None:
        if await self._link.run(script, [self._keys.prefix], self._fence, *words) != b"done":
            raise StoreUnavailable(f"store {self.name}: another service has taken it over: import again")

    def _words(self, fact: Fact) -> Iterator[Word]:
        keys = self._keys
        match fact:
            case DocumentFact(kind=kind, key=key):
                entries = [IndexEntry(*entry) for entry in fact.entries]
                yield from ("hash", keys.documents(kind), key)
                yield pack_document(fact.record, pack_entries(entries), fact.version)
                for entry in entries:
                    yield from ("index", keys.index(kind, entry.index), stem(entry.value, entry.sort) + key)
            case StateFact(key=key):
                yield from ("hash", keys.states(partition_of(key)), key, pack_state(fact.record, hot=fact.hot))
            case LogFact():
                yield from ("log", fact.number, fact.entry)
            case LogEndFact():
                yield from ("log_end", fact.number)
            case WatermarkFact():
                yield from ("hash", keys.watermarks, fact.partition, fact.number)
            case SecretFact():
                yield from ("hash", keys.secrets, fact.name, fact.secret)
            case _:
                assert_never(fact)


def _document(kind: str, key: str, value: bytes) -> DocumentFact:
    document = document_of(key, value)
    entries = tuple(sorted((entry.index, entry.value, entry.sort) for entry in entries_of(value)))
    return DocumentFact(kind, key, document.version, document.record, entries)


_GUARD: Final = """
-- KEYS: the prefix. ARGV: the fence, then the words. Answer: 'done', or 'fenced' when another has come since.
local prefix = KEYS[1]
if redis.call('GET', prefix .. ':fence') ~= ARGV[1] then return 'fenced' end
"""

MARK: Final = Script(_GUARD + "redis.call('HSET', prefix .. ':meta', 'moving_in', 1)\nreturn 'done'")
REVEAL: Final = Script(_GUARD + "redis.call('HDEL', prefix .. ':meta', 'moving_in')\nreturn 'done'")
WIPE: Final = Script(_GUARD + "redis.call('UNLINK', unpack(ARGV, 2))\nreturn 'done'")

LOAD: Final = Script(
    _GUARD
    + r"""
local at = 2
local function take()
  at = at + 1
  return ARGV[at - 1]
end

-- The number of an entry that an earlier try has added is not greater than the last one.
local function add(number, entry)
  local answer = redis.pcall('XADD', prefix .. ':log', '0-' .. number, 'e', entry)
  if type(answer) == 'string' then return answer end
  if not string.find(answer.err, 'equal or smaller', 1, true) then error(answer.err) end
end

local facts = {}

function facts.hash()
  local key, field, value = take(), take(), take()
  redis.call('HSET', key, field, value)
end

function facts.index()
  local key, member = take(), take()
  redis.call('ZADD', key, 0, member)
end

function facts.log()
  local number, entry = take(), take()
  add(number, entry)
end

function facts.log_end()
  local added = add(take(), '')
  if added then redis.call('XDEL', prefix .. ':log', added) end
end

while at <= #ARGV do facts[take()]() end
return 'done'
"""
)
