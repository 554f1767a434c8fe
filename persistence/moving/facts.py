"""The facts that a store holds, the same for every kind of store, and a tally by which two stores are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import msgspec

from domain.registry import PARTITIONS

CHUNK_FACTS: Final = 1_000
CHUNK_BYTES: Final = 1024 * 1024

_ENCODER: Final = msgspec.msgpack.Encoder()
_MODULUS: Final = 1 << 256


class DocumentFact(msgspec.Struct, frozen=True, array_like=True, tag="document"):
    """A document, with its index entries (index, value, sort) in order."""

    kind: str
    key: str
    version: int
    record: bytes
    entries: tuple[tuple[str, str, str], ...]


class StateFact(msgspec.Struct, frozen=True, array_like=True, tag="state"):
    """An actor's checkpointed state."""

    key: str
    hot: bool
    record: bytes


class LogFact(msgspec.Struct, frozen=True, array_like=True, tag="log"):
    """An entry of the telemetry log."""

    number: int
    entry: bytes


class LogEndFact(msgspec.Struct, frozen=True, array_like=True, tag="log_end"):
    """The greatest number that the log ever gave: states and watermarks refer to it, so no entry may get it again."""

    number: int


class WatermarkFact(msgspec.Struct, frozen=True, array_like=True, tag="watermark"):
    """The log number up to which a partition's states are complete."""

    partition: int
    number: int


class SecretFact(msgspec.Struct, frozen=True, array_like=True, tag="secret"):
    """A secret of the store: without it the keys of persons and the terminals' codes would be others."""

    name: str
    secret: bytes


Fact = DocumentFact | StateFact | LogFact | LogEndFact | WatermarkFact | SecretFact

_COUNTED_AS: Final[dict[type, str]] = {
    StateFact: "(vehicle states)",
    LogFact: "(telemetry log entries)",
    WatermarkFact: "(watermarks)",
    SecretFact: "(secrets)",
}


@dataclass(slots=True)
class Tally:
    """The number of facts of each kind, and a checksum of all of them.

    The checksum is the sum of each fact's SHA-256, so it does not depend on the order in which a store lists them. The
    same facts have the same checksum in every store, and ten million of them need not be sorted to compare it.
    """

    counts: Counter[str] = field(default_factory=Counter)
    _sum: int = 0

    def add(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            self._sum += int.from_bytes(sha256(_ENCODER.encode(fact)).digest(), "big")
            if isinstance(fact, DocumentFact):
                self.counts[fact.kind] += 1
            elif not isinstance(fact, LogEndFact):
                self.counts[_COUNTED_AS[type(fact)]] += 1
        self._sum %= _MODULUS

    @property
    def checksum(self) -> str:
        """Return the checksum as 64 hexadecimal digits."""
        return f"{self._sum:064x}"


def log_tail_from(watermarks: Collection[int], last_number: int) -> int:
    """Return the first log number that is still needed: earlier entries are in the states of every partition.

    The last entry always is: it tells how late it was.
    """
    complete_to = min(watermarks) if len(watermarks) == PARTITIONS else 0
    return min(complete_to + 1, last_number)


def in_chunks(facts: Iterable[Fact]) -> Iterator[list[Fact]]:
    """Yield lists of about a megabyte, so that memory stays bounded whatever the facts' size."""
    chunk: list[Fact] = []
    size = 0
    for fact in facts:
        chunk.append(fact)
        size += _size(fact)
        if size >= CHUNK_BYTES or len(chunk) == CHUNK_FACTS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _size(fact: Fact) -> int:
    match fact:
        case DocumentFact() | StateFact():
            return len(fact.record)
        case LogFact():
            return len(fact.entry)
        case _:
            return 0
