"""Measures how fast each store makes telemetry and facts durable, beside the same product used plainly.

The baseline writes the same bytes: SQLite with one transaction per write, or Redis with one command per write and a
connection per caller. Both are told to wait for the disk each time.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError
from redis.typing import EncodableT, FieldT

from bench.figures import Figure, emit
from domain.registry import partition_of
from persistence.opening import open_store
from persistence.store import Checkpoint, IndexEntry, Put, Store

CALLERS: Final = 32
"""Concurrent callers, each waiting for a write of its own."""
SECONDS: Final = 1.0
TURNS: Final = 2
"""Turns of each side, of which the best counts: other users of the disk belong to neither side."""
BATCH_BYTES: Final = 40_000
"""A batch of a thousand fixes in the log."""
RECORD_BYTES: Final = 300
STATE_BYTES: Final = 140
STATES: Final = 20_000
"""States of a fleet, by partition."""
READ_AT_ONCE: Final = 250
REDIS: Final = "redis-server"

Write = Callable[[int], Awaitable[object]]


async def rate(write: Write) -> float:
    """Return the writes per second of ``CALLERS`` that do not pause."""
    started, done = time.perf_counter(), 0
    numbers = iter(range(1 << 30))

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() - started < SECONDS:
            await write(next(numbers))
            done += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done / (time.perf_counter() - started)


class Ours:
    """Both stores, by their common protocol."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = 0

    async def rates(self) -> list[float]:
        self._turn += 1
        batch, record = os.urandom(BATCH_BYTES), os.urandom(RECORD_BYTES)

        async def document(number: int) -> None:
            entries = (IndexEntry("by-day", str(number % 100), f"{number:08d}"),)
            await self._store.commit([Put("bench", f"{self._turn}-{number}", record, entries, expected_version=0)])

        return [
            await rate(lambda _: self._store.append(batch)),
            await rate(document),
            await self._checkpointed(),
            await self._read(),
        ]

    async def _checkpointed(self) -> float:
        """Return the states per second, one partition after another."""
        states = {
            number: [(key, os.urandom(STATE_BYTES), True) for key in some] for number, some in partitions().items()
        }
        started = time.perf_counter()
        for number, some in states.items():
            await self._store.checkpoint(Checkpoint(number, 1, some))
        return STATES / (time.perf_counter() - started)

    async def _read(self) -> float:
        """Return the states per second, several read at a time."""
        wanted, started = keys(), time.perf_counter()
        for first in range(0, STATES, READ_AT_ONCE):
            found = await self._store.states(wanted[first : first + READ_AT_ONCE])
            assert len(found) == READ_AT_ONCE
        return STATES / (time.perf_counter() - started)


class PlainSqlite:
    """SQLite with one transaction per write."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("CREATE TABLE log (number INTEGER PRIMARY KEY, entry BLOB)")
        self._connection.execute("CREATE TABLE document (key TEXT PRIMARY KEY, record BLOB)")
        self._connection.execute("CREATE INDEX by_day ON document (substr(key, 1, 2))")

    async def rates(self) -> list[float]:
        batch, record = os.urandom(BATCH_BYTES), os.urandom(RECORD_BYTES)
        log, document = "INSERT INTO log (entry) VALUES (?)", "INSERT OR REPLACE INTO document VALUES (?, ?)"

        async def append(_: int) -> None:
            self._connection.execute(log, (batch,))

        async def commit(number: int) -> None:
            self._connection.execute(document, (str(number), record))

        return [await rate(append), await rate(commit), self._checkpointed(document), self._read()]

    def _checkpointed(self, upsert: str) -> float:
        rows = [[(key, os.urandom(STATE_BYTES)) for key in some] for some in partitions().values()]
        started = time.perf_counter()
        for some in rows:
            self._connection.execute("BEGIN")
            self._connection.executemany(upsert, some)
            self._connection.execute("COMMIT")
        return STATES / (time.perf_counter() - started)

    def _read(self) -> float:
        started = time.perf_counter()
        for key in keys():
            self._connection.execute("SELECT record FROM document WHERE key = ?", (key,)).fetchone()
        return STATES / (time.perf_counter() - started)


class PlainRedis:
    """Redis with one command per write."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def rates(self) -> list[float]:
        batch, record = os.urandom(BATCH_BYTES), os.urandom(RECORD_BYTES)
        return [
            await rate(lambda _: self._client.xadd("plain-log", {"entry": batch}, maxlen=1_000)),
            await rate(lambda number: self._client.hset("plain", str(number), record)),
            await self._checkpointed(),
            await self._read(),
        ]

    async def _checkpointed(self) -> float:
        states: list[dict[FieldT, EncodableT]] = [
            {key: os.urandom(STATE_BYTES) for key in some} for some in partitions().values()
        ]
        started = time.perf_counter()
        for some in states:
            await self._client.hset("plain-states", mapping=some)
        return STATES / (time.perf_counter() - started)

    async def _read(self) -> float:
        wanted, started = keys(), time.perf_counter()
        for first in range(0, STATES, READ_AT_ONCE):
            await self._client.hmget("plain-states", wanted[first : first + READ_AT_ONCE])
        return STATES / (time.perf_counter() - started)


def keys() -> list[str]:
    return [f"v{number * 2_654_435_761 % (1 << 32):08x}" for number in range(STATES)]


def partitions() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for key in keys():
        found.setdefault(partition_of(key), []).append(key)
    return found


async def compared(name: str, ours: Ours, plain: PlainSqlite | PlainRedis) -> list[Figure]:
    turns = [(await ours.rates(), await plain.rates()) for _ in range(TURNS)]
    best_ours, best_plain = ([max(column) for column in zip(*side, strict=True)] for side in zip(*turns, strict=True))
    beside = f"plain {name}"
    rows = (
        (f"store, {name}: batches of 1,000 fixes made durable, {CALLERS} callers", "batches/s"),
        ("  facts with an index and a version, committed", "commits/s"),
        (f"  states checkpointed, a partition of {STATES:,} at a time", "states/s"),
        (f"  states read, {READ_AT_ONCE} at a time", "states/s"),
    )
    return [
        Figure(row, unit, us, them, beside) for (row, unit), us, them in zip(rows, best_ours, best_plain, strict=True)
    ]


async def sqlite_figures(folder: Path) -> list[Figure]:
    store = await open_store(f"sqlite:{folder / 'ours.db'}")
    try:
        return await compared("SQLite", Ours(store), PlainSqlite(folder / "plain.db"))
    finally:
        await store.close()


async def redis_figures(folder: Path) -> list[Figure]:
    with redis_server(folder) as port:
        retry = Retry(ConstantBackoff(0.1), 100, supported_errors=(RedisError,))
        client = Redis(port=port, max_connections=CALLERS, retry=retry)
        try:
            await client.ping()
            store = await open_store(f"redis://127.0.0.1:{port}/0?prefix=bench")
            try:
                return await compared("Redis", Ours(store), PlainRedis(client))
            finally:
                await store.close()
        finally:
            await client.aclose()


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """Run a Redis that waits for its disk at each write; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    place = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--logfile", "redis.log")
    durable = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
    with subprocess.Popen([REDIS, *place, *durable], stdout=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.terminate()


def main() -> None:
    kinds = (sqlite_figures, redis_figures) if shutil.which(REDIS) else (sqlite_figures,)
    for kind in kinds:
        with TemporaryDirectory(prefix="bench-") as folder:
            emit(asyncio.run(kind(Path(folder))))
    if len(kinds) == 1:
        print(f"without {REDIS}: no figures of it; apt-get install {REDIS} brings it")


if __name__ == "__main__":
    main()
