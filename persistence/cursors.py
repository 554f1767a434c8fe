"""Cursors by which a list goes on where its last page ended; a client can't steer them to another list."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple
from zlib import crc32

import msgspec

MAX_CURSOR_CHARS = 2_000


class Position(NamedTuple):
    """The place where a page ended in its index: the sort key and the document key of its last document."""

    sort: str
    key: str


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Position)
_CHECK_BYTES = 4


def encode_cursor(listing: tuple[object, ...], position: Position) -> str:
    """Encode a position as opaque, url-safe text; ``listing`` (kind, index, value, direction) is checked, not
    contained.
    """
    body = _ENCODER.encode(position)
    return urlsafe_b64encode(_check(listing, body) + body).rstrip(b"=").decode("ascii")


def decode_cursor(listing: tuple[object, ...], cursor: str) -> Position:
    """Decode a cursor. Raises ``ValueError`` for one that no page of this very listing gave."""
    if len(cursor) > MAX_CURSOR_CHARS or not cursor.isascii():
        raise ValueError("not a cursor of ours")
    raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    check, body = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if check != _check(listing, body):
        raise ValueError("the cursor is of another list, or was altered")
    try:
        return _DECODER.decode(body)
    except msgspec.MsgspecError as error:
        raise ValueError("not a cursor of ours") from error


def _check(listing: tuple[object, ...], body: bytes) -> bytes:
    return crc32(_ENCODER.encode(listing) + body).to_bytes(_CHECK_BYTES, "big")
