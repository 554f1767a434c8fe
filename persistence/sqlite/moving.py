"""Moves everything out of a SQLite file, and into an empty one."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Self, assert_never

import msgspec

from persistence.moving.facts import (
    DocumentFact,
    Fact,
    LogEndFact,
    LogFact,
    SecretFact,
    StateFact,
    WatermarkFact,
    in_chunks,
    log_tail_from,
)
from persistence.sqlite.claim import PlaceLock
from persistence.sqlite.file import connect_reader, connect_writer, is_half_moved_in, opening_failed, prepare
from persistence.sqlite.packs import ALL, packed, states_in, write_packs
from persistence.store import StoreUnavailable

_TABLES: Final = ("documents", "entries", "log", "packs", "watermarks", "secrets")
_ENCODER: Final = msgspec.msgpack.Encoder()
_ENTRIES: Final = msgspec.msgpack.Decoder(list[tuple[str, str, str]])


class SqliteSource:
    """A file as it was when it was opened, though other processes write to it meanwhile."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.name = f"sqlite:{path}"
        self._path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open it. Raises ``StoreUnavailable`` or ``StoreFormatError``; makes no file where there is none."""
        if not path.exists():
            raise StoreUnavailable(f"there is no store {path}: name another with --store")
        prepare(path)
        try:
            connection = connect_reader(path)
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM meta").fetchone()  # from here on nothing changes any more
        except sqlite3.Error as error:
            raise opening_failed(path, error) from error
        return cls(path, connection)

    async def facts(self) -> AsyncIterator[list[Fact]]:
        """See ``moving.Source``."""
        try:
            for chunk in in_chunks(facts_of(self._connection)):
                yield chunk
        except sqlite3.Error as error:
            raise opening_failed(self._path, error) from error

    def copy_to(self, file: Path) -> None:
        """Copy the file itself, page by page."""
        try:
            with closing(sqlite3.connect(file)) as copy:
                copy.execute("PRAGMA synchronous=OFF")  # it is synced as a whole
                self._connection.backup(copy)
        except sqlite3.Error as error:
            raise opening_failed(file, error) from error

    async def close(self) -> None:
        """Close it.

        Put away the write-ahead log that others filled meanwhile, so that the service's next commit need not.
        """
        self._connection.close()
        try:
            with closing(connect_writer(self._path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error:
            pass  # then the service does it


class SqliteDestination:
    """An empty file, or none yet, to move into."""

    def __init__(self, path: Path) -> None:
        self.name = f"sqlite:{path}"
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._lock: PlaceLock | None = None

    async def begin(self) -> None:
        """See ``moving.Destination``."""
        prepare(self._path, to_move_in=True)
        self._lock = PlaceLock(self._path)
        with self._transaction() as connection:
            if not is_half_moved_in(connection):
                _refuse_what_holds_something(connection, self.name)
                connection.execute("INSERT INTO meta (name, value) VALUES ('moving_in', '')")
            for table in (*_TABLES, "sqlite_sequence"):
                connection.execute(f"DELETE FROM {table}")

    async def load(self, facts: Sequence[Fact]) -> None:
        """Load facts; see ``moving.Destination``. Each call is one commit."""
        with self._transaction() as connection:
            write_packs(
                connection, packed((fact.key, fact.record, fact.hot) for fact in facts if isinstance(fact, StateFact))
            )
            for fact in facts:
                _load(connection, fact)

    async def reveal(self) -> None:
        """See ``moving.Destination``."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM meta WHERE name = 'moving_in'")

    async def facts(self) -> AsyncIterator[list[Fact]]:
        """Yield what has been loaded."""
        with self._transaction() as connection:
            for chunk in in_chunks(facts_of(connection)):
                yield chunk

    async def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
        if self._lock is not None:
            self._lock.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self._connection = connect_writer(self._path)
            with self._connection as connection:  # commits, or rolls back
                connection.execute("BEGIN IMMEDIATE")
                yield connection
        except sqlite3.Error as error:
            raise opening_failed(self._path, error) from error


def facts_of(connection: sqlite3.Connection) -> Iterator[Fact]:
    """Yield everything, read as it is asked for: within a transaction, or others' writes come in between."""
    documents = connection.execute("SELECT kind, key, version, record, entries FROM documents ORDER BY kind, key")
    for kind, key, version, record, entries in documents:
        known = tuple(sorted(_ENTRIES.decode(entries))) if entries is not None else ()
        yield DocumentFact(kind, key, version, record, known)
    for key, record, hot in states_in(connection.execute(ALL)):
        yield StateFact(key, hot, record)
    yield from _log_of(connection)
    for partition, number in connection.execute("SELECT partition, watermark FROM watermarks ORDER BY partition"):
        yield WatermarkFact(partition, number)
    for name, secret in connection.execute("SELECT name, secret FROM secrets ORDER BY name"):
        yield SecretFact(name, secret)


def _log_of(connection: sqlite3.Connection) -> Iterator[Fact]:
    watermarks = [number for (number,) in connection.execute("SELECT watermark FROM watermarks")]
    last = connection.execute("SELECT coalesce(max(seq), 0) FROM log").fetchone()[0]
    needed_from = log_tail_from(watermarks, last)
    for number, entry in connection.execute("SELECT seq, entry FROM log WHERE seq >= ? ORDER BY seq", (needed_from,)):
        yield LogFact(number, entry)
    for (number,) in connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log' AND seq > 0"):
        yield LogEndFact(number)


def _refuse_what_holds_something(connection: sqlite3.Connection, name: str) -> None:
    for table in (*_TABLES, "sqlite_sequence"):
        if connection.execute(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT 1)").fetchone()[0]:
            raise StoreUnavailable(f"store {name}: there is something in it already: choose an empty --store")


def _load(connection: sqlite3.Connection, fact: Fact) -> None:
    match fact:
        case DocumentFact(kind=kind, key=key, entries=entries):
            packed = _ENCODER.encode(entries) if entries else None
            row: tuple[object, ...] = (kind, key, fact.version, fact.record, packed)
            connection.execute(
                "INSERT INTO documents (kind, key, version, record, entries) VALUES (?, ?, ?, ?, ?)", row
            )
            rows = [(kind, key, *entry) for entry in entries]
            connection.executemany("INSERT INTO entries (kind, key, name, value, sort) VALUES (?, ?, ?, ?, ?)", rows)
        case StateFact():
            pass  # With its neighbours, see ``load``.
        case LogFact():
            connection.execute("INSERT INTO log (seq, entry) VALUES (?, ?)", (fact.number, fact.entry))
        case LogEndFact():
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'log'")
            connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('log', ?)", (fact.number,))
        case WatermarkFact():
            row = (fact.partition, fact.number)
            connection.execute("INSERT INTO watermarks (partition, watermark) VALUES (?, ?)", row)
        case SecretFact():
            connection.execute("INSERT INTO secrets (name, secret) VALUES (?, ?)", (fact.name, fact.secret))
        case _:
            assert_never(fact)
