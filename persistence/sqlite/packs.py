"""Packs of vehicles' states in SQLite, so that a checkpoint of thousands writes few rows.

A row is a pack: all states whose keys' hash says so, in one record. Of a million vehicles that are 15 a row, of some
thousand there is one; a state written by itself costs its neighbours' bytes, which the page it lies on does, too.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from domain.registry import PACKS_A_PARTITION, pack_of
from persistence.store import StoreFormatError

T = TypeVar("T")

TABLE: Final = "CREATE TABLE packs (number INTEGER PRIMARY KEY, states BLOB NOT NULL)"
ALL: Final = "SELECT number, states FROM packs ORDER BY number"
OF_PARTITION: Final = "SELECT number, states FROM packs WHERE number BETWEEN ? AND ?"
OF_NUMBERS: Final = "SELECT number, states FROM packs WHERE number IN (SELECT value FROM json_each(?))"
_PUT: Final = "INSERT OR REPLACE INTO packs (number, states) VALUES "
PACKS_A_STATEMENT: Final = 100

State = tuple[str, bytes, bool]
"""A state: key, record, hot."""
Packs = dict[int, dict[str, Any]]
"""Packs by number, each with states by key: encoded already, or to be encoded as (hot, record)."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_STATES: Final = msgspec.msgpack.Decoder(dict[str, tuple[bool, bytes]])
_STATE: Final = msgspec.msgpack.Decoder(tuple[bool, bytes])
_UNREAD: Final = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
"""The decoder for a caller that wants one state of a pack, or none: reading them all costs as much as all the rest."""


def packed(states: Iterable[State]) -> Packs:
    """Sort these states into the packs that they belong to."""
    packs: Packs = {}
    for key, record, hot in states:
        packs.setdefault(pack_of(key), {})[key] = (hot, record)
    return packs


def write_packs(connection: sqlite3.Connection, packs: Packs) -> None:
    """Write into the packs that are there; other states in them stay. Inside a transaction of the caller's.

    Raises ``StoreFormatError``.
    """
    numbers = sorted(packs)
    for start in range(0, len(numbers), PACKS_A_STATEMENT):
        some = numbers[start : start + PACKS_A_STATEMENT]
        merged = {number: packs[number] for number in some}
        for number, there in connection.execute(OF_NUMBERS, wanted(some)):
            merged[number] = _read(_UNREAD, number, there) | packs[number]
        rows = [column for number, states in merged.items() for column in (number, _ENCODER.encode(states))]
        connection.execute(_PUT + ",".join(["(?, ?)"] * len(some)), rows)


def wanted(numbers: Sequence[int]) -> tuple[str]:
    """Return the parameter of ``OF_NUMBERS``."""
    return (json.dumps(numbers),)


def bounds(partition: int) -> tuple[int, int]:
    """Return the parameters of ``OF_PARTITION``."""
    first = partition * PACKS_A_PARTITION
    return first, first + PACKS_A_PARTITION - 1


def states_in(rows: Iterable[tuple[int, bytes]]) -> Iterator[State]:
    """Yield every state of these packs, by its key within each. Raises ``StoreFormatError``."""
    for number, states in rows:
        for key, (hot, record) in sorted(_read(_STATES, number, states).items()):
            yield key, record, hot


def records_of(keys: Sequence[str], rows: Iterable[tuple[int, bytes]]) -> Mapping[str, bytes]:
    """Return the records of those of ``keys`` that are in these packs. Raises ``StoreFormatError``."""
    packs = {number: _read(_UNREAD, number, states) for number, states in rows}
    found = ((key, packs.get(pack_of(key), {}).get(key)) for key in keys)
    return {key: _STATE.decode(state)[1] for key, state in found if state is not None}


def _read(decoder: msgspec.msgpack.Decoder[T], number: int, states: bytes) -> T:
    try:
        return decoder.decode(states)
    except msgspec.MsgspecError as error:
        raise StoreFormatError(
            f"pack {number} of the vehicles' states is damaged ({error}): restore a backup"
        ) from error
