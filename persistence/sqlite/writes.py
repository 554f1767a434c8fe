"""The rows that each kind of write touches. Each function runs inside a transaction of ``sqlite.writer``."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from persistence.sqlite.packs import Packs, bounds, packed, write_packs
from persistence.store import Checkpoint, Delete, Put, StoreConflict

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(set[tuple[str, str, str]])

_Entries = set[tuple[str, str, str]]
_OLD = "SELECT version, entries FROM documents WHERE kind = ? AND key = ?"
_PUT = """
    INSERT INTO documents (kind, key, version, record, entries) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET version = excluded.version, record = excluded.record, entries = excluded.entries
"""
_ADD_ENTRY = "INSERT INTO entries (kind, key, name, value, sort) VALUES (?, ?, ?, ?, ?)"
_REMOVE_ENTRY = "DELETE FROM entries WHERE kind = ? AND key = ? AND name = ? AND value = ? AND sort = ?"


def write_documents(writes: Sequence[Put | Delete], connection: sqlite3.Connection) -> None:
    """Write them all in their order. Raises ``StoreConflict`` at the first that does not find its expected version."""
    for write in writes:
        row = connection.execute(_OLD, (write.kind, write.key)).fetchone()
        version, had = (row[0], _unpack(row[1])) if row is not None else (0, set())
        if isinstance(write, Put):
            _put(connection, write, version, had)
        elif row is not None:
            _change_entries(connection, write, had, set())
            connection.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (write.kind, write.key))


def write_checkpoint(checkpoint: Checkpoint, connection: sqlite3.Connection) -> None:
    """Write the states, the watermark (which never goes back) and the documents.

    Raises ``ValueError`` for a state of another partition.
    """
    write_documents(checkpoint.documents, connection)
    write_packs(connection, _packed(checkpoint))
    connection.execute(
        """INSERT INTO watermarks (partition, watermark) VALUES (?, ?)
        ON CONFLICT DO UPDATE SET watermark = max(watermark, excluded.watermark)""",
        (checkpoint.partition, checkpoint.watermark),
    )


def trim_log(through: int, at_most: int, connection: sqlite3.Connection) -> int:
    """Delete the oldest entries up to number ``through``, no more than ``at_most``; return how many went."""
    question = "DELETE FROM log WHERE seq IN (SELECT seq FROM log WHERE seq <= ? ORDER BY seq LIMIT ?)"
    return connection.execute(question, (through, at_most)).rowcount


def keep_secret(name: str, fresh: bytes, connection: sqlite3.Connection) -> bytes:
    """Return the secret of this name: ``fresh``, unless another process was faster."""
    connection.execute("INSERT INTO secrets (name, secret) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, fresh))
    return bytes(connection.execute("SELECT secret FROM secrets WHERE name = ?", (name,)).fetchone()[0])


def keep_identity(fresh: str, connection: sqlite3.Connection) -> str:
    """Return the identity that tells this store from every other: ``fresh``, unless it has one already."""
    connection.execute("INSERT INTO meta (name, value) VALUES ('identity', ?) ON CONFLICT DO NOTHING", (fresh,))
    return str(connection.execute("SELECT value FROM meta WHERE name = 'identity'").fetchone()[0])


def _packed(checkpoint: Checkpoint) -> Packs:
    packs, (first, last) = packed(checkpoint.states), bounds(checkpoint.partition)
    if any(not first <= number <= last for number in packs):
        raise ValueError(f"a state is not of partition {checkpoint.partition}")
    return packs


def _put(connection: sqlite3.Connection, put: Put, version: int, had: _Entries) -> None:
    if put.expected_version is not None and put.expected_version != version:
        raise StoreConflict(f"a {put.kind} is at version {version}, not {put.expected_version}")
    has = {(entry.index, entry.value, entry.sort) for entry in put.entries}
    connection.execute(_PUT, (put.kind, put.key, version + 1, put.record, _ENCODER.encode(has) if has else None))
    _change_entries(connection, put, had, has)


def _change_entries(connection: sqlite3.Connection, write: Put | Delete, had: _Entries, has: _Entries) -> None:
    for statement, entries in ((_REMOVE_ENTRY, had - has), (_ADD_ENTRY, has - had)):
        if entries:
            connection.executemany(statement, [(write.kind, write.key, *entry) for entry in entries])


def _unpack(entries: bytes | None) -> _Entries:
    return _DECODER.decode(entries) if entries is not None else set()
