"""Turns values into bytes that later versions of this program still read.

Every record is a MessagePack array that starts with its version. Fields that are added later need a default. A change
beyond that raises the record's version, and reads the old ones by ``version_of``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

import msgspec

from domain.vehicle.fix import Fix
from persistence.store import StoreFormatError

T = TypeVar("T")

FORMAT: Final = 2
"""The format of stored records, and so of an export, and of a Redis store as a whole; SQLite's tables count their own.
"""
BATCH_VERSION: Final = 1

_ENCODER: Final = msgspec.msgpack.Encoder()
_VERSIONED: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
_INTEGER: Final = msgspec.msgpack.Decoder(int)
_BATCH: Final = msgspec.msgpack.Decoder(tuple[int, float, list[Fix]])


def require_format(store: str, found: int, known: int, *, otherwise: str) -> None:
    """Raise ``StoreFormatError`` for a ``store`` of another format than this program's.

    The step from an older format goes where this refuses it, in ``sqlite/file.py`` and ``redis/checks.py``. No release
    has written another format than today's, so no step exists yet.
    """
    if found > known:
        raise StoreFormatError(
            f"{store} has format {found}, this program knows {known}: start the newer program, or {otherwise}"
        )
    if found < known:
        raise StoreFormatError(
            f"{store} has format {found}, older than this program's {known}: start the program that wrote it, or {otherwise}"
        )


def encode(value: object, version: int = 1) -> bytes:
    """Encode frozen dataclasses, NamedTuples, enumerations, dates and values built of them."""
    return _ENCODER.encode((version, value))


def decode(record: bytes, kind: type[T], *, version: int = 1) -> T:
    """Decode a record of ``encode``.

    Raises ``StoreFormatError`` for a version above ``version``, or for anything else.
    """
    try:
        found, value = _decoder(cast(Hashable, kind)).decode(record)
    except msgspec.MsgspecError as error:
        _refuse_newer(version_of(record), version, kind.__name__)
        raise StoreFormatError(f"a stored record is not a {kind.__name__}: {error}") from error
    _refuse_newer(found, version, kind.__name__)
    return cast(T, value)


def version_of(record: bytes) -> int:
    """Return the version with which a record starts."""
    try:
        return _INTEGER.decode(_VERSIONED.decode(record)[0])
    except (msgspec.MsgspecError, IndexError) as error:
        raise StoreFormatError("a stored record does not start with its version") from error


def encode_batch(received_at: float, fixes: Sequence[Fix]) -> bytes:
    """Encode an entry of the telemetry log: fixes received together, at ``received_at`` (Unix seconds)."""
    return _ENCODER.encode((BATCH_VERSION, received_at, fixes))


def decode_batch(entry: bytes) -> tuple[float, list[Fix]]:
    """Return when the batch was received, and its fixes in their order."""
    try:
        version, received_at, fixes = _BATCH.decode(entry)
    except msgspec.MsgspecError as error:
        _refuse_newer(version_of(entry), BATCH_VERSION, "batch of fixes")
        raise StoreFormatError(f"a log entry is not a batch of fixes: {error}") from error
    _refuse_newer(version, BATCH_VERSION, "batch of fixes")
    return received_at, fixes


def _refuse_newer(found: int, known: int, what: str) -> None:
    if found > known:
        raise StoreFormatError(f"{what}: version {found} is newer than {known}: start the newer program again")


@lru_cache(maxsize=256)
def _decoder(kind: Hashable) -> msgspec.msgpack.Decoder[tuple[int, Any]]:
    return msgspec.msgpack.Decoder(tuple[int, kind])  # type: ignore[valid-type]
