"""Brings a SQLite store of an older program up to the present format, all of it or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

from domain.registry import PARTITIONS
from persistence import records_of_format_1 as format_1
from persistence.sqlite.packs import TABLE, packed, write_packs

Step = Callable[[sqlite3.Connection], None]

META: Final = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
ROWS_AT_ONCE: Final = 200


def migrate(connection: sqlite3.Connection, found: int, wanted: int, steps: Mapping[int, Step]) -> None:
    """Migrate within a transaction of the caller's, one for all; ``steps`` by the format that each leaves behind."""
    for number in range(found, wanted):
        steps[number](connection)
    connection.execute(f"PRAGMA user_version={wanted}")


def _to_2(connection: sqlite3.Connection) -> None:
    """Give records their later form, and make a place to note that a move into the store is under way."""

    def state(row: tuple[Any, ...]) -> bytes:
        question = "SELECT record FROM documents WHERE kind = ? AND key = ?"
        vehicle = connection.execute(question, (format_1.VEHICLE, row[1])).fetchone()
        return format_1.state(row[2], vehicle[0] if vehicle else None)

    connection.execute(META)
    _rewrite(connection, "documents", ("kind", "key"), "record", lambda row: format_1.document(row[0], row[2]))
    _rewrite(connection, "states", ("partition", "key"), "record", state)
    _rewrite(connection, "log", ("seq",), "entry", lambda row: format_1.batch(row[1]))


def _to_3(connection: sqlite3.Connection) -> None:
    """Turn rows that hold one vehicle's state into packs of them."""
    connection.execute(TABLE)
    for partition in range(PARTITIONS):
        question = "SELECT key, record, hot FROM states WHERE partition = ?"
        rows = connection.execute(question, (partition,)).fetchall()
        write_packs(connection, packed((key, record, bool(hot)) for key, record, hot in rows))
    connection.execute("DROP TABLE states")


def _rewrite(
    connection: sqlite3.Connection,
    table: str,
    keys: tuple[str, ...],
    column: str,
    present: Callable[[tuple[Any, ...]], bytes],
) -> None:
    """Give every row of a table the record that ``present`` makes of it; a row is its keys and the record."""
    names, marks = ", ".join(keys), ", ".join("?" for _ in keys)
    update = f"UPDATE {table} SET {column} = ? WHERE ({names}) = ({marks})"
    beyond, last = "", ()
    while rows := connection.execute(
        f"SELECT {names}, {column} FROM {table} {beyond} ORDER BY {names} LIMIT {ROWS_AT_ONCE}", last
    ).fetchall():
        made = [(present(row), row) for row in rows]
        connection.executemany(update, [(record, *row[:-1]) for record, row in made if record != row[-1]])
        beyond, last = f"WHERE ({names}) > ({marks})", rows[-1][:-1]


STEPS: Final[Mapping[int, Step]] = {1: _to_2, 2: _to_3}
