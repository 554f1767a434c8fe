"""Moves between all kinds of store in tests, and fills a store with a bit of everything."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple, Protocol

from domain.registry import PARTITIONS, partition_of
from persistence.moving.moving import Destination, Source, count, move_in, move_out
from persistence.redis.address import RedisAddress
from persistence.redis.moving import RedisDestination, RedisSource
from persistence.redis.store import RedisStore
from persistence.sqlite.moving import SqliteDestination, SqliteSource
from persistence.sqlite.store import SqliteStore
from persistence.store import Checkpoint, IndexEntry, Put, Store

NOW = 1_767_225_600.0


_KEYS: dict[int, list[str]] = {partition: [] for partition in range(PARTITIONS)}
for _key in map(str, range(600)):
    _KEYS[partition_of(_key)].append(_key)


class Moved(NamedTuple):
    """The report of a move."""

    counts: dict[str, int]
    checksum: str


class House(Protocol):
    """A store as a place: to serve from, to move out of, to move into."""

    async def store(self) -> Store: ...
    async def source(self) -> Source: ...
    async def destination(self) -> Destination: ...


class SqliteHouse:
    """A file that does not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def store(self) -> Store:
        return await SqliteStore.open(self.path)

    async def source(self) -> Source:
        return SqliteSource.open(self.path)

    async def destination(self) -> Destination:
        return SqliteDestination(self.path)


class RedisHouse:
    """A prefix that is not in use yet."""

    def __init__(self, url: str) -> None:
        self.address = RedisAddress.parse(url)

    async def store(self) -> Store:
        return await RedisStore.open(self.address)

    async def source(self) -> Source:
        return await RedisSource.open(self.address)

    async def destination(self) -> Destination:
        return await RedisDestination.open(self.address)


async def moves_out(house: House, file: Path) -> Moved:
    source = await house.source()
    try:
        tally = await move_out(source, file, now=NOW)
    finally:
        await source.close()
    return Moved(dict(tally.counts), tally.checksum)


async def moves_in(file: Path, house: House) -> Moved:
    destination = await house.destination()
    try:
        tally = await move_in(file, destination)
    finally:
        await destination.close()
    return Moved(dict(tally.counts), tally.checksum)


async def holds(house: House) -> Moved:
    source = await house.source()
    try:
        tally = await count(source)
    finally:
        await source.close()
    return Moved(dict(tally.counts), tally.checksum)


async def fill(house: House, *, log: int = 7, checkpointed: int = 4) -> None:
    """Documents of three kinds, one of them written twice and one deleted; a log whose first entries are in the states."""
    store = await house.store()
    await store.commit([note(number) for number in range(20)])
    await store.commit([note(3, b"again"), Put("audit", "a", b"\x92\x01\x00"), Put("plain", "p", b"")])
    await store.secret("registry")
    await store.secret("jt808-auth")
    for number in range(log):
        await store.append(f"entry {number}".encode())
    states = [Checkpoint(partition, checkpointed, states_of(partition)) for partition in range(PARTITIONS)]
    await asyncio.gather(*map(store.checkpoint, states))
    await store.close()


def note(number: int, record: bytes = b"x") -> Put:
    entries = (IndexEntry("by_day", str(number % 3), f"{number:04d}"), IndexEntry("all", "", "\0odd\0\1"))
    return Put("note", f"键{number}", record, entries)


def states_of(partition: int) -> list[tuple[str, bytes, bool]]:
    return [(key, b"state of " + key.encode(), int(key) % 2 == 0) for key in _KEYS[partition]]


def write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def read(file: Path) -> bytes:
    return file.read_bytes()


def is_there(file: Path) -> bool:
    return file.exists()
