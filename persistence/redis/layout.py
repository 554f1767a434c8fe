"""The keys and bytes of everything in Redis.

All keys begin with one prefix, so that several databases of ours share a Redis. There are few of them and they are
large, because a key of its own costs more than an entry in a hash:

* ``documents:KIND``: hash, document key → version, index entries, record;
* ``index:KIND:NAME``: sorted set, all scores 0, of value · sort · document key: one list in the order of its bytes;
* ``log``: a stream whose ids are ``0-NUMBER``; the stream itself remembers the last number, also when it is empty;
* ``states:PARTITION``: hash, actor key → hot or not, record; ``watermarks``, ``secrets``, ``meta``: hashes;
* ``fence``, ``lease``: the serving process; ``writer:ID``: the result of a writer's last group, for a minute.

The write script makes its keys from the prefix. That needs one primary, not a Redis Cluster: a commit may touch any of
them at once, so there are no slot tags.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final

import msgspec

from persistence import records
from persistence.cursors import Position
from persistence.store import Document, IndexEntry

FORMAT: Final = records.FORMAT
MOVING_IN: Final = "moving_in"
"""The entry in ``meta`` while a move into the store is under way."""
APPLICATION: Final = "shouwang"

# A NUL inside a text becomes NUL 2, so that the end sorts before any continuation, and all of it stays Unicode.
_NUL: Final = "\0"
_END: Final = "\0\1"
_ESCAPED_NUL: Final = "\0\2"
_BEYOND: Final = b"\0\2"
_HEAD: Final = Struct(">II")
_ENCODER: Final = msgspec.msgpack.Encoder()
_ENTRIES: Final = msgspec.msgpack.Decoder(list[str])


class Keys:
    """The names of the keys of one database of ours."""

    __slots__ = ("fence", "lease", "log", "meta", "prefix", "secrets", "watermarks")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.log = f"{prefix}:log"
        self.meta = f"{prefix}:meta"
        self.fence = f"{prefix}:fence"
        self.lease = f"{prefix}:lease"
        self.secrets = f"{prefix}:secrets"
        self.watermarks = f"{prefix}:watermarks"

    def documents(self, kind: str) -> str:
        """Return the key of a kind's documents. Raises ``ValueError`` for a kind that would run into another's keys."""
        return f"{self.prefix}:documents:{_word(kind)}"

    def index(self, kind: str, index: str) -> str:
        """Return the key of an index, with the same check."""
        return f"{self.prefix}:index:{_word(kind)}:{_word(index)}"

    def states(self, partition: int) -> str:
        return f"{self.prefix}:states:{partition}"

    def writer(self, writer_id: str) -> str:
        return f"{self.prefix}:writer:{writer_id}"


def _word(name: str) -> str:
    if ":" in name:
        raise ValueError(f"{name!r}: a kind or an index has no colon in its name")
    return name


# -- documents: see the write script, which writes the same


def document_of(key: str, value: bytes) -> Document:
    """Read a document as it stands in its hash."""
    version, entries_bytes = _HEAD.unpack_from(value)
    return Document(key, value[_HEAD.size + entries_bytes :], version)


def entries_of(value: bytes) -> list[IndexEntry]:
    """Read the index entries of a document as it stands in its hash."""
    _, entries_bytes = _HEAD.unpack_from(value)
    if not entries_bytes:
        return []
    flat = _ENTRIES.decode(value[_HEAD.size : _HEAD.size + entries_bytes])
    return [
        IndexEntry(index, *member_parts(stem.encode())[:2]) for index, stem in zip(flat[::2], flat[1::2], strict=True)
    ]


def pack_document(record: bytes, entries: bytes, version: int) -> bytes:
    """Pack a document as it stands in its hash; ``entries`` come from ``pack_entries``."""
    return _HEAD.pack(version, len(entries)) + entries + record


def pack_entries(entries: Iterable[IndexEntry]) -> bytes:
    """Pack index names and stems in turn, as MessagePack that the script can read; empty without entries."""
    flat: list[str] = []
    for entry in dict.fromkeys(entries):
        flat += (_word(entry.index), stem(entry.value, entry.sort))
    return _ENCODER.encode(flat) if flat else b""


# -- the members of an index


def stem(value: str, sort: str) -> str:
    """Return a member without its document key."""
    return _escaped(value) + _END + _escaped(sort) + _END


def head_bytes(value: str) -> int:
    """Return how many bytes of a member the value takes."""
    return len((_escaped(value) + _END).encode())


def bounds(value: str, after: Position | None, *, descending: bool) -> tuple[bytes, bytes]:
    """Return the bytes between which this value's members ``after`` a position stand; the greater first if
    ``descending``.
    """
    low, high = b"[" + (_escaped(value) + _END).encode(), b"(" + _escaped(value).encode() + _BEYOND
    last = b"" if after is None else b"(" + (stem(value, after.sort) + after.key).encode()
    return (last or high, low) if descending else (last or low, high)


def member_parts(member: bytes) -> tuple[str, str, str]:
    """Split a member into value, sort and document key."""
    value, sort, key = member.decode().split(_END, 2)
    return value.replace(_ESCAPED_NUL, _NUL), sort.replace(_ESCAPED_NUL, _NUL), key


def _escaped(text: str) -> str:
    return text.replace(_NUL, _ESCAPED_NUL)


# -- the log


def log_id(number: int) -> str:
    """Return the stream's id of an entry."""
    return f"0-{number}"


def log_number(stream_id: bytes) -> int:
    """Return the number behind a stream's id."""
    return int(stream_id.partition(b"-")[2])


# -- states


def pack_state(record: bytes, *, hot: bool) -> bytes:
    """Pack a state as it stands in its hash."""
    return (b"\1" if hot else b"\0") + record


def is_hot(value: bytes) -> bool:
    """Tell whether this state is activated at the next start."""
    return value[0] == 1


def state_of(value: bytes) -> bytes:
    """Return the record of a state."""
    return value[1:]
