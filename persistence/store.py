"""The promises of every store.

A store is three kinds of memory, all of MessagePack records that start with a version (``persistence.records``):

* **documents**: facts by (kind, key) with index entries; a commit is atomic and durable before it returns;
* **the telemetry log**: batches of fixes, numbered from 1 without gaps being promised; durable before ``append`` returns;
* **checkpoints**: the vehicles' states, per partition with the log number up to which they are complete.

A call that fails raises ``StoreUnavailable`` and has done nothing, or (a time-out) may be repeated: every write is
idempotent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from persistence.stats import StoreStats


class StoreError(Exception):
    """The base of a store's errors."""


class StoreUnavailable(StoreError):
    """The store can't be reached, is full, or read-only: nothing was done; try again later."""


class NoSuchStore(StoreUnavailable):
    """The name is not that of a store, or the store can't do what was asked for."""


class StoreConflict(StoreError):
    """A document is not at the version that the commit expected: nothing was done."""


class StoreFormatError(StoreError):
    """The store is of a newer format than this program, or not a store of ours at all."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """Makes a document findable: all entries of one (kind, index, value) are listed in the order of ``sort``, then key."""

    index: str
    value: str
    sort: str = ""


@dataclass(frozen=True, slots=True)
class Put:
    """Writes a document whole, and replaces its index entries by these."""

    kind: str
    key: str
    record: bytes
    entries: tuple[IndexEntry, ...] = ()
    expected_version: int | None = None
    """The version the document must have (0: it must not exist); None: any."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Removes a document and its index entries; a missing document changes nothing."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Document:
    """A document as read: ``version`` counts its writes from 1."""

    key: str
    record: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the documents of an index value; ``next`` is the cursor of the next page, None at the end."""

    documents: tuple[Document, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A partition's states as of log number ``watermark``: everything up to it is in them."""

    partition: int
    watermark: int
    states: Sequence[tuple[str, bytes, bool]]
    """Triples (actor key, record, hot): hot ones are activated at the next start, the others on first use."""
    documents: Sequence[Put] = field(default=())


class Store(Protocol):
    """The protocol; see the module. Every method may raise ``StoreUnavailable``."""

    name: str
    """The name to print: ``sqlite:PATH`` or ``redis://host:port/db``, without a password."""

    async def get(self, kind: str, keys: Sequence[str]) -> Mapping[str, Document]:
        """Return the documents of these keys; missing ones are left out."""
        ...

    async def find(
        self, kind: str, index: str, value: str, *, after: str | None = None, limit: int = 100, descending: bool = False
    ) -> Page:
        """Return the documents of one index value in the order of their sort key; ``after`` is a ``Page.next`` of the
        same call.

        Raises ``ValueError`` for a cursor that no page of ours gave.
        """
        ...

    async def count(self, kind: str, index: str, value: str) -> int:
        """Return how many documents have this index value."""
        ...

    async def index_values(self, kind: str, index: str) -> Iterable[tuple[str, str]]:
        """Return every (value, document key) of one index: for directories held in memory."""
        ...

    async def commit(self, writes: Sequence[Put | Delete]) -> None:
        """Make all of the writes, atomically and durably, or none.

        Raises ``StoreConflict`` when an expected version is not met.
        """
        ...

    async def append(self, entry: bytes) -> int:
        """Add a batch to the telemetry log, durably; return its number, greater than all before."""
        ...

    async def read_log(self, *, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """Return up to ``limit`` entries with greater numbers than ``after``, in order."""
        ...

    async def trim_log(self, *, through: int) -> int:
        """Forget entries up to and with number ``through``; return how many went."""
        ...

    async def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a partition's changed states, its watermark and documents in one atomic commit."""
        ...

    async def watermarks(self) -> Mapping[int, int]:
        """Return each partition's watermark; a partition never checkpointed is missing."""
        ...

    async def states(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """Return the checkpointed states of these actors."""
        ...

    async def hot_states(self, partition: int) -> Sequence[tuple[str, bytes]]:
        """Return the states of a partition that were written as hot."""
        ...

    async def secret(self, name: str) -> bytes:
        """Return 32 random bytes that this store keeps under ``name``, made on first use."""
        ...

    async def serve_alone(self) -> None:
        """Keep every other service off this store, until closed or the process ends; imports may still write.

        Raises ``StoreUnavailable`` when another service has it: two would checkpoint past each other's log entries.
        """
        ...

    def stats(self) -> StoreStats:
        """Return how fast it commits, and whether it fails."""
        ...

    async def close(self) -> None:
        """Wait for calls under way and let go of everything."""
        ...


def without_password(store: str) -> str:
    """Return a store's name as it may be printed: without a URL's user and password."""
    return re.sub(r"//.*@", "//", store)
