"""The file in which the facts of a store travel.

gzip of frames, each a length (4 bytes) and MessagePack: a header, chunks of facts, an empty frame, a trailer with the
counts and the checksum. MessagePack, because that is what the records are made of already: as JSON each would have to be
wrapped again, and a third larger.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final, TypeVar, cast

import msgspec

from persistence.moving.facts import Fact, Tally
from persistence.moving.whole_file import appearing
from persistence.records import FORMAT
from persistence.store import StoreFormatError, StoreUnavailable

FILE_FORMAT: Final = 1
MAGIC: Final = "shouwang facts"
MAX_FRAME_BYTES: Final = 256 * 1024 * 1024
"""The longest frame; a longer one is not ours, and is not read into memory."""
GZIP_LEVEL: Final = 3

T = TypeVar("T")

_LENGTH: Final = Struct(">I")
_ENCODER: Final = msgspec.msgpack.Encoder()


class Header(msgspec.Struct, frozen=True, array_like=True):
    """The header: the format of the rest."""

    magic: str
    file_format: int
    store_format: int
    taken_at: float
    """Unix seconds."""


class Trailer(msgspec.Struct, frozen=True, array_like=True):
    """The trailer: the counts and checksum of all before it."""

    counts: dict[str, int]
    checksum: str


class _Damaged(Exception):
    """The file ends too early, or differs from what was written."""


async def write_facts(file: Path, chunks: AsyncIterator[list[Fact]], *, taken_at: float) -> Tally:
    """Write a new file, readable for this user only. Raises ``StoreUnavailable`` when it can't, or is there already."""
    tally = Tally()
    with appearing(file) as part, gzip.open(part, "wb", compresslevel=GZIP_LEVEL) as out:
        _write(out, Header(MAGIC, FILE_FORMAT, FORMAT, taken_at))
        async for chunk in chunks:
            tally.add(chunk)
            _write(out, chunk)
        out.write(_LENGTH.pack(0))
        _write(out, Trailer(dict(tally.counts), tally.checksum))
    return tally


def read_facts(file: Path) -> Iterator[list[Fact]]:
    """Yield the facts, a chunk at a time; ends well only if the file is whole and its counts and checksum are right.

    Raises ``StoreFormatError``, saying what to do, or ``StoreUnavailable`` when the file can't be read.
    """
    try:
        with gzip.open(file, "rb") as stream:
            yield from _facts(cast(BinaryIO, stream), file)
    except (_Damaged, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise StoreFormatError(
            f"{file} is not a whole file of facts ({error}): export again, or copy it again"
        ) from error
    except OSError as error:
        raise StoreUnavailable(f"can't read {file}: {error.strerror or error}") from error


def tally_of(file: Path) -> Tally:
    """Read the whole file and return its tally. Raises the errors of ``read_facts``."""
    tally = Tally()
    for chunk in read_facts(file):
        tally.add(chunk)
    return tally


def _facts(stream: BinaryIO, file: Path) -> Iterator[list[Fact]]:
    _check(_decoded(_frame(stream), Header), file)
    tally = Tally()
    while frame := _frame(stream):
        chunk = _decoded(frame, list[Fact])
        tally.add(chunk)
        yield chunk
    trailer = _decoded(_frame(stream), Trailer)
    if stream.read(1):
        raise _Damaged("something follows its end")
    if trailer != Trailer(dict(tally.counts), tally.checksum):
        raise _Damaged("its counts or its checksum do not fit what is in it")


def _check(header: Header, file: Path) -> None:
    if header.magic != MAGIC:
        raise _Damaged("it begins otherwise")
    if header.file_format > FILE_FORMAT or header.store_format > FORMAT:
        raise StoreFormatError(
            f"{file} has format {header.file_format} for facts of format {header.store_format}, this program knows "
            f"{FILE_FORMAT} and {FORMAT}: import it with the newer program"
        )
    if header.store_format < FORMAT:
        raise StoreFormatError(
            f"{file} has facts of format {header.store_format}, this program's is {FORMAT}: import it with the program "
            "that exported it"
        )


def _write(out: gzip.GzipFile, value: object) -> None:
    frame = _ENCODER.encode(value)
    if len(frame) > MAX_FRAME_BYTES:
        raise StoreUnavailable(f"a fact of {len(frame)} bytes is too large to be exported")
    out.write(_LENGTH.pack(len(frame)) + frame)


def _frame(stream: BinaryIO) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    if length > MAX_FRAME_BYTES:
        raise _Damaged(f"a part of {length} bytes")
    return _exactly(stream, length)


def _exactly(stream: BinaryIO, length: int) -> bytes:
    found = stream.read(length)
    if len(found) < length:
        raise _Damaged("it ends too early")
    return found


def _decoded(frame: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(frame, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _Damaged(str(error)) from error
