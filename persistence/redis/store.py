"""The store in a Redis."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_bytes
from typing import Any, Final, Self

from redis.exceptions import ReadOnlyError

from domain.registry import partition_of
from persistence.cursors import Position, decode_cursor, encode_cursor
from persistence.redis.address import RedisAddress
from persistence.redis.checks import Durability, verify
from persistence.redis.layout import (
    Keys,
    bounds,
    document_of,
    head_bytes,
    is_hot,
    log_id,
    log_number,
    member_parts,
    pack_entries,
    pack_state,
    state_of,
)
from persistence.redis.lease import LEASE_S, Lease
from persistence.redis.link import ANSWER_S, Command, Link, Word
from persistence.redis.memory import Memory
from persistence.redis.primary import Primary
from persistence.redis.scripts import FIND, Script
from persistence.redis.served import Served
from persistence.redis.writer import GroupWriter
from persistence.stats import StoreStats
from persistence.store import Checkpoint, Delete, Document, Page, Put, StoreUnavailable

CHECK_S: Final = 10.0
"""Real seconds between two repetitions of the start's questions to Redis."""
CHECK_AGAIN_S: Final = 1.0
READERS: Final = 4
MAX_READS_WAITING: Final = 2_048
MAX_PAGE: Final = 1_000
TRIM_A_COMMIT: Final = 500
"""Log entries removed at once: a trim of hours must not hold up the appends."""
MEMBERS_A_READ: Final = 2_000
SECRET_BYTES: Final = 32


class RedisStore:
    """A ``Store`` below one prefix of a Redis, with one connection that writes and four that read."""

    def __init__(
        self, address: RedisAddress, *, answer_s: float, lease_s: float, check_s: float, notes: Path | None
    ) -> None:
        self.name = address.name
        self._keys = Keys(address.prefix)
        self._replicas = address.replicas
        self._memory = Memory(self._keys, address.name)
        self._durability = Durability(address)
        self._served = Served(address, notes=notes)
        primary = Primary(address)
        self._writing = Link(
            primary,
            address.name,
            connections=1,
            answer_s=answer_s,
            replicas=address.replicas,
            prove=self._durability.prove,
        )
        self._reading = Link(primary, address.name, connections=READERS, answer_s=answer_s, memory=self._memory)
        self._asking = Link(primary, address.name, connections=1, answer_s=answer_s)
        self._writer = GroupWriter(
            self._writing, address.prefix, address.name, memory=self._memory, refusal=self._durability.refusal
        )
        self._lease = Lease(self._writing, address.prefix, address.name, lease_s=lease_s)
        self._check_s = check_s
        self._checking: asyncio.Task[None] | None = None
        self._reads = 0
        self._closed = False

    @classmethod
    async def open(
        cls,
        address: RedisAddress,
        *,
        answer_s: float = ANSWER_S,
        lease_s: float = LEASE_S,
        check_s: float = CHECK_S,
        new: bool = False,
        notes: Path | None = None,
    ) -> Self:
        """Connect, and make sure that the store there keeps our promises and is ours.

        Raises ``StoreFormatError`` or ``StoreUnavailable``, saying what to do. ``answer_s``: how long a call may take;
        ``lease_s``: how long a start waits for a service that died; ``check_s``: how often a service asks again whether
        it keeps our promises; ``new``: a store may be made where one was served before; ``notes``: the folder in which it
        is noted here that one was served.
        """
        store = cls(address, answer_s=answer_s, lease_s=lease_s, check_s=check_s, notes=notes)
        try:
            store._memory.identity = await verify(store._writing, address, new=new, was_served=store._was_served)
        except BaseException:
            await store.close()
            raise
        return store

    async def serve_alone(self) -> None:
        """Serve alone; see ``Store.serve_alone``. Waits some seconds for the lease of a service that died.

        Begins to ask again and again whether the Redis keeps what it is given.
        """
        self._writer.fence = await self._lease.claim()
        await self._served.note(self._writing)
        self._checking = asyncio.create_task(self._check())

    def stats(self) -> StoreStats:
        """Return how fast it commits, whether it fails, and what is wrong with it."""
        troubles = tuple(each for each in (self._memory.trouble, self._durability.trouble) if each is not None)
        return self._writer.times.stats(queue_depth=self._writer.queue_depth, troubles=troubles)

    async def get(self, kind: str, keys: Sequence[str]) -> Mapping[str, Document]:
        """See ``Store.get``."""
        known = _readable(keys)
        if not known:
            return {}
        (values,) = await self._read(("HMGET", self._keys.documents(kind), *known))
        return {key: document_of(key, value) for key, value in zip(known, values, strict=True) if value is not None}

    async def find(
        self, kind: str, index: str, value: str, *, after: str | None = None, limit: int = 100, descending: bool = False
    ) -> Page:
        """See ``Store.find``; ``limit`` is 1 to 1,000."""
        if not 1 <= limit <= MAX_PAGE:
            raise ValueError(f"limit must be 1 to {MAX_PAGE}")
        listing = (kind, index, value, descending)
        position = decode_cursor(listing, after) if after is not None else None
        ends = bounds(value, position, descending=descending)
        keys = (self._keys.index(kind, index), self._keys.documents(kind))
        members, values = await self._run(FIND, keys, *ends, limit + 1, int(descending), head_bytes(value))
        places = [Position(*member_parts(member)[1:]) for member in members[:limit]]
        documents = tuple(document_of(place.key, found) for place, found in zip(places, values, strict=False))
        return Page(documents, encode_cursor(listing, places[-1]) if len(members) > limit else None)

    async def count(self, kind: str, index: str, value: str) -> int:
        """See ``Store.count``."""
        low, high = bounds(value, None, descending=False)
        (count,) = await self._read(("ZLEXCOUNT", self._keys.index(kind, index), low, high))
        return int(count)

    async def index_values(self, kind: str, index: str) -> Sequence[tuple[str, str]]:
        """See ``Store.index_values``.

        It reads in parts, so a document that changes meanwhile may be there twice or not at all.
        """
        found: list[tuple[str, str]] = []
        low = b"-"
        while True:
            command = ("ZRANGEBYLEX", self._keys.index(kind, index), low, "+", "LIMIT", 0, MEMBERS_A_READ)
            (members,) = await self._read(command)
            found += ((value, key) for value, _, key in map(member_parts, members))
            if len(members) < MEMBERS_A_READ:
                return found
            low = b"(" + members[-1]

    async def commit(self, writes: Sequence[Put | Delete]) -> None:
        """See ``Store.commit``."""
        if writes:
            await self._writer.do("commit", *self._words(writes))

    async def append(self, entry: bytes) -> int:
        """See ``Store.append``."""
        return await self._writer.do("append", entry)

    async def read_log(self, *, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """See ``Store.read_log``."""
        (entries,) = await self._read(("XRANGE", self._keys.log, f"({log_id(after)}", "+", "COUNT", limit))
        return [(log_number(stream_id), fields[1]) for stream_id, fields in entries]

    async def trim_log(self, *, through: int) -> int:
        """See ``Store.trim_log``; many short commits, so that others get their turn in between."""
        gone = 0
        while went := await self._writer.do("trim", through, TRIM_A_COMMIT):
            gone += went
        return gone

    async def checkpoint(self, checkpoint: Checkpoint) -> None:
        """See ``Store.checkpoint``. Raises ``ValueError`` for a state of another partition."""
        words: list[Word] = ["checkpoint", checkpoint.partition, checkpoint.watermark, len(checkpoint.states)]
        for key, record, hot in checkpoint.states:
            if partition_of(key) != checkpoint.partition:
                raise ValueError(f"a state is not of partition {checkpoint.partition}")
            words += (key, pack_state(record, hot=hot))
        await self._writer.do(*words, *self._words(checkpoint.documents))

    async def watermarks(self) -> Mapping[int, int]:
        """See ``Store.watermarks``."""
        (flat,) = await self._read(("HGETALL", self._keys.watermarks))
        return {int(partition): int(watermark) for partition, watermark in _pairs(flat)}

    async def states(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """See ``Store.states``."""
        by_partition = defaultdict(list)
        for key in _readable(keys):
            by_partition[partition_of(key)].append(key)
        if not by_partition:
            return {}
        commands = [("HMGET", self._keys.states(partition), *wanted) for partition, wanted in by_partition.items()]
        answers = await self._read(*commands)
        values = (value for answer in answers for value in answer)
        ordered = (key for wanted in by_partition.values() for key in wanted)
        return {key: state_of(value) for key, value in zip(ordered, values, strict=True) if value is not None}

    async def hot_states(self, partition: int) -> Sequence[tuple[str, bytes]]:
        """See ``Store.hot_states``."""
        (flat,) = await self._read(("HGETALL", self._keys.states(partition)))
        return [(key.decode(), state_of(value)) for key, value in _pairs(flat) if is_hot(value)]

    async def secret(self, name: str) -> bytes:
        """See ``Store.secret``."""
        secrets = self._keys.secrets
        (kept,) = await self._read(("HGET", secrets, name))
        if kept is not None:
            return bytes(kept)
        made = ("HSETNX", secrets, name, token_bytes(SECRET_BYTES))
        return bytes((await self._writing.ask(made, ("HGET", secrets, name)))[1])

    async def close(self) -> None:
        """See ``Store.close``."""
        if self._closed:
            return
        self._closed = True
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.wait([self._checking])
        await self._writer.stop()
        await self._lease.release()
        for link in (self._writing, self._reading, self._asking):
            await link.close()

    async def _check(self) -> None:
        """Check without any traffic, too; often while something is wrong, so that it is soon served again."""
        while True:
            await asyncio.sleep(min(self._check_s, CHECK_AGAIN_S) if self.stats().troubles else self._check_s)
            with suppress(StoreUnavailable, ReadOnlyError):  # it is a trouble now, or the next writer is told
                await self._durability.ask_again(self._asking)
            with suppress(StoreUnavailable):
                await self._reading.ask()

    async def _was_served(self) -> bool:
        return await self._served.is_noted(self._writing)

    def _words(self, writes: Sequence[Put | Delete]) -> list[Word]:
        """Return the commit's part of a job.

        Raises ``ValueError`` for what can't be written, before anything is queued.
        """
        words: list[Word] = [len(writes)]
        for write in writes:
            self._keys.documents(write.kind)
            key = write.key.encode()
            if isinstance(write, Delete):
                words += (write.kind, key, "delete", b"", b"")
            else:
                expected = "" if write.expected_version is None else str(write.expected_version)
                words += (write.kind, key, expected, pack_entries(write.entries), write.record)
        return words

    async def _read(self, *commands: Command) -> list[Any]:
        self._enter()
        try:
            await self._be_sure()
            return await self._reading.ask(*commands)
        except StoreUnavailable:
            self._writer.times.failed()
            raise
        finally:
            self._reads -= 1

    async def _run(self, script: Script, keys: Sequence[str], *words: Word) -> Any:
        self._enter()
        try:
            await self._be_sure()
            return await self._reading.run(script, keys, *words)
        except StoreUnavailable:
            self._writer.times.failed()
            raise
        finally:
            self._reads -= 1

    async def _be_sure(self) -> None:
        """Hold reads until the replicas have an unconfirmed write: it may exist only on a primary about to be demoted."""
        if self._replicas and self._writer.is_in_doubt:
            await self._writer.do("touch")

    def _enter(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"store {self.name}: it is closed")
        if self._reads >= MAX_READS_WAITING:
            raise StoreUnavailable(f"store {self.name}: {MAX_READS_WAITING} reads are waiting already")
        self._reads += 1


def _readable(keys: Iterable[str]) -> list[str]:
    """Return the keys that are Unicode, each once; others can't be there."""
    return [key for key in dict.fromkeys(keys) if not any("\ud800" <= char <= "\udfff" for char in key)]


def _pairs(flat: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)
