"""The store in one SQLite file."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Any, Final, Self

from domain.registry import pack_of
from persistence.cursors import Position, decode_cursor, encode_cursor
from persistence.sqlite import packs as sqlite_packs
from persistence.sqlite import writes as sqlite_writes
from persistence.sqlite.check import DamageCheck
from persistence.sqlite.claim import ServiceLock
from persistence.sqlite.file import prepare
from persistence.sqlite.files import OpenFiles
from persistence.sqlite.writer import GroupWriter
from persistence.stats import StoreStats
from persistence.store import Checkpoint, Delete, Document, Page, Put, StoreUnavailable
from persistence.troubles import Trouble

log = logging.getLogger(__name__)

READERS: Final = 2
MAX_READS_WAITING: Final = 2_048
MAX_PAGE: Final = 1_000
TRIM_A_COMMIT: Final = 500
"""Log entries removed at once: a trim of hours must not hold up the appends."""
SECRET_BYTES: Final = 32
LONGEST_FINDING: Final = 200


class SqliteStore:
    """A ``Store`` in one file, with a thread that writes and two that read."""

    def __init__(self, files: OpenFiles) -> None:
        self.name = f"sqlite:{files.path}"
        self._files = files
        self._path = files.path
        self._writer = GroupWriter(files, asyncio.get_running_loop())
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._check = DamageCheck(files)
        self._idle_connections: list[sqlite3.Connection] = []
        self._reads = 0
        self._closed = False

    @classmethod
    async def open(cls, path: str | Path, *, new: bool = False) -> Self:
        """Open the file, or make it; where a service has served one before, only if it is to be ``new``.

        Raises ``StoreFormatError`` or ``StoreUnavailable``, saying what to do.
        """
        file = Path(path)
        await asyncio.to_thread(prepare, file, new=new)
        store = cls(await asyncio.to_thread(OpenFiles, file))
        try:
            await store.watermarks()
        except StoreUnavailable:
            await store.close()
            raise
        return store

    async def serve_alone(self) -> None:
        """Serve alone; see ``Store.serve_alone``. Starts the search for damage in the background."""
        self._files.lock = lock = await asyncio.to_thread(ServiceLock, self._path)
        self._files.require()
        identity = await self._writer.do(partial(sqlite_writes.keep_identity, token_hex(SECRET_BYTES // 2)))
        before = await asyncio.to_thread(lock.note, str(identity))
        if before and before != identity:
            log.warning("store %s: it is another one than was served here before", self._path)
        self._check.start()

    def stats(self) -> StoreStats:
        """Return how fast it commits, whether it fails, and what is wrong with it at this moment."""
        found = self._files.look()
        troubles: tuple[Trouble, ...] = (found,) if found is not None else ()
        if self._files.damage:
            troubles += (_damaged(self._files.damage),)
        return self._writer.times.stats(
            queue_depth=self._writer.queue_depth, troubles=troubles, damage_check=self._check.state
        )

    async def get(self, kind: str, keys: Sequence[str]) -> Mapping[str, Document]:
        """See ``Store.get``."""
        rows = await self._read(
            "SELECT key, record, version FROM documents WHERE kind = ? AND key IN (SELECT value FROM json_each(?))",
            (kind, json.dumps(list(keys))),
        )
        return {key: Document(key, record, version) for key, record, version in rows}

    async def find(
        self, kind: str, index: str, value: str, *, after: str | None = None, limit: int = 100, descending: bool = False
    ) -> Page:
        """See ``Store.find``; ``limit`` is 1 to 1,000."""
        if not 1 <= limit <= MAX_PAGE:
            raise ValueError(f"limit must be 1 to {MAX_PAGE}")
        listing = (kind, index, value, descending)
        position = decode_cursor(listing, after) if after is not None else None
        rows = await self._read(
            _FIND[descending, position is not None], (kind, index, value, *(position or ()), limit + 1)
        )
        documents = tuple(Document(key, record, version) for _, key, record, version in rows[:limit])
        more = len(rows) > limit
        return Page(documents, encode_cursor(listing, Position(*rows[limit - 1][:2])) if more else None)

    async def count(self, kind: str, index: str, value: str) -> int:
        """See ``Store.count``."""
        question = "SELECT count(*) FROM entries WHERE kind = ? AND name = ? AND value = ?"
        return int((await self._read(question, (kind, index, value)))[0][0])

    async def index_values(self, kind: str, index: str) -> Sequence[tuple[str, str]]:
        """See ``Store.index_values``."""
        return await self._read("SELECT value, key FROM entries WHERE kind = ? AND name = ?", (kind, index))

    async def commit(self, writes: Sequence[Put | Delete]) -> None:
        """See ``Store.commit``."""
        if writes:
            await self._writer.do(partial(sqlite_writes.write_documents, tuple(writes)))

    async def append(self, entry: bytes) -> int:
        """See ``Store.append``."""
        return await self._writer.append(entry)

    async def read_log(self, *, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """See ``Store.read_log``."""
        return await self._read("SELECT seq, entry FROM log WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))

    async def trim_log(self, *, through: int) -> int:
        """See ``Store.trim_log``; many short commits, so that others get their turn in between."""
        gone = 0
        while True:
            went = await self._writer.do(partial(sqlite_writes.trim_log, through, TRIM_A_COMMIT))
            assert isinstance(went, int)
            gone += went
            if went < TRIM_A_COMMIT:
                return gone

    async def checkpoint(self, checkpoint: Checkpoint) -> None:
        """See ``Store.checkpoint``. Raises ``ValueError`` for a state of another partition."""
        await self._writer.do(partial(sqlite_writes.write_checkpoint, checkpoint))

    async def watermarks(self) -> Mapping[int, int]:
        """See ``Store.watermarks``."""
        return dict(await self._read("SELECT partition, watermark FROM watermarks", ()))

    async def states(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """See ``Store.states``."""
        packs = sqlite_packs.wanted([*{pack_of(key) for key in keys}])
        return sqlite_packs.records_of(keys, await self._read(sqlite_packs.OF_NUMBERS, packs))

    async def hot_states(self, partition: int) -> Sequence[tuple[str, bytes]]:
        """See ``Store.hot_states``."""
        packs = await self._read(sqlite_packs.OF_PARTITION, sqlite_packs.bounds(partition))
        return [(key, record) for key, record, hot in sqlite_packs.states_in(packs) if hot]

    async def secret(self, name: str) -> bytes:
        """See ``Store.secret``."""
        rows = await self._read("SELECT secret FROM secrets WHERE name = ?", (name,))
        if rows:
            return bytes(rows[0][0])
        made = await self._writer.do(partial(sqlite_writes.keep_secret, name, token_bytes(SECRET_BYTES)))
        assert isinstance(made, bytes)
        return made

    async def close(self) -> None:
        """See ``Store.close``."""
        if self._closed:
            return
        self._closed = True
        self._writer.stop()
        await asyncio.to_thread(self._let_go)

    def _let_go(self) -> None:
        self._check.stop()
        self._readers.shutdown()
        while self._idle_connections:
            self._idle_connections.pop().close()
        self._writer.join()
        self._files.close()

    async def _read(self, question: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
        if self._closed:
            raise StoreUnavailable(f"store {self._path}: it is closed")
        if self._reads >= MAX_READS_WAITING:
            raise StoreUnavailable(f"store {self._path}: {MAX_READS_WAITING} reads are waiting already")
        self._reads += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, self._ask, question, parameters)
        except StoreUnavailable:
            self._writer.times.failed()
            raise
        finally:
            self._reads -= 1

    def _ask(self, question: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            connection = self._idle_connections.pop() if self._idle_connections else self._files.connect_reader()
        except sqlite3.Error as error:
            raise self._files.failed(error) from error
        try:
            rows = connection.execute(question, parameters).fetchall()
        except (sqlite3.Error, ValueError) as error:
            connection.close()  # the next read connects afresh
            if isinstance(error, sqlite3.Error):
                raise self._files.failed(error) from error
            raise
        self._idle_connections.append(connection)
        return rows


def _damaged(finding: str) -> Trouble:
    return Trouble(
        "store_damaged",
        f"the store's file is damaged ({finding[:LONGEST_FINDING]}). What can be read is still served: back it up with "
        "`run.py export`, end the service, and restore the last whole backup",
        refuses=False,
    )


def _find(*, descending: bool, goes_on: bool) -> str:
    order, beyond = ("DESC", "<") if descending else ("ASC", ">")
    return f"""
        SELECT e.sort, e.key, d.record, d.version FROM entries AS e CROSS JOIN documents AS d
        ON d.kind = e.kind AND d.key = e.key
        WHERE e.kind = ? AND e.name = ? AND e.value = ? {f"AND (e.sort, e.key) {beyond} (?, ?)" if goes_on else ""}
        ORDER BY e.sort {order}, e.key {order} LIMIT ?
    """


_FIND: Final = {(down, on): _find(descending=down, goes_on=on) for down in (False, True) for on in (False, True)}
