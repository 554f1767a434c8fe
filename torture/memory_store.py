"""A disk in memory, whose facts outlive each process, and the store that works on it.

The store keeps every promise of ``persistence.store`` (the contract's tests run over it, too). Nothing is slow or fails
here: see ``torture.faulty_store`` for that.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

from domain.registry import partition_of
from persistence.cursors import Position, decode_cursor, encode_cursor
from persistence.stats import CommitTimes, StoreStats
from persistence.store import (
    Checkpoint,
    Delete,
    Document,
    Page,
    Put,
    StoreConflict,
    StoreUnavailable,
)

MAX_PAGE: Final = 1_000
SECRET_BYTES: Final = 32

Index = tuple[str, str, str]
"""An index: kind, name and value."""
Written = Callable[[Sequence[Put | Delete]], None]
"""A function told of each commit, when it is durable."""


Appended = Callable[[int, bytes], None]
"""A function told of each entry of the log, when it is durable."""

Torn = Callable[[bytes], None]
"""A function told of each entry that is durable although its writer was told that it is not."""


def _ignore(*_: object) -> None:
    """Ignore what is told."""


class Disk:
    """The disk, which outlives a process."""

    def __init__(self, chance: Random | None = None) -> None:
        self.documents: dict[str, dict[str, Document]] = {}
        self.log: list[tuple[int, bytes]] = []
        self.last_number = 0
        self.watermarks: dict[int, int] = {}
        self.states: dict[int, dict[str, tuple[bytes, bool]]] = {}
        self.secrets: dict[str, bytes] = {}
        self.server: MemoryStore | None = None
        """The store that serves alone."""
        self.on_written: Written = _ignore
        self.on_appended: Appended = _ignore
        self.on_torn: Torn = _ignore
        self.chance = chance or Random(0)
        self._entries: dict[Index, list[tuple[str, str]]] = {}
        self._entries_of: dict[tuple[str, str], tuple[tuple[Index, tuple[str, str]], ...]] = {}

    def entries(self, index: Index) -> list[tuple[str, str]]:
        """Return (sort, key) of an index value, in order."""
        return self._entries.get(index, [])

    def values(self, kind: str, name: str) -> list[tuple[str, str]]:
        """Return (value, key) of every entry of an index."""
        return [
            (value, key)
            for (of_kind, of_name, value), entries in self._entries.items()
            if (of_kind, of_name) == (kind, name)
            for _, key in entries
        ]

    def document(self, kind: str, key: str) -> Document | None:
        return self.documents.get(kind, {}).get(key)

    def write(self, writes: Sequence[Put | Delete]) -> None:
        """Write all or none. Raises ``StoreConflict``, and ``ValueError`` for texts that are no Unicode."""
        self._check(writes)
        for write in writes:
            self._forget_entries(write.kind, write.key)
            if isinstance(write, Put):
                self._put(write)
            else:
                self.documents.get(write.kind, {}).pop(write.key, None)
        self.on_written(writes)

    def _check(self, writes: Sequence[Put | Delete]) -> None:
        versions: dict[tuple[str, str], int] = {}
        for write in writes:
            at = (write.kind, write.key)
            write.key.encode()
            if at not in versions:
                document = self.document(*at)
                versions[at] = 0 if document is None else document.version
            if isinstance(write, Delete):
                versions[at] = 0
                continue
            for entry in write.entries:
                f"{entry.value}{entry.sort}".encode()
            if write.expected_version is not None and write.expected_version != versions[at]:
                raise StoreConflict(f"a {write.kind} is at version {versions[at]}, not {write.expected_version}")
            versions[at] += 1

    def _put(self, put: Put) -> None:
        documents = self.documents.setdefault(put.kind, {})
        known = documents.get(put.key)
        documents[put.key] = Document(put.key, put.record, 1 if known is None else known.version + 1)
        of = dict.fromkeys(((put.kind, entry.index, entry.value), (entry.sort, put.key)) for entry in put.entries)
        for index, entry in of:
            insort(self._entries.setdefault(index, []), entry)
        if of:
            self._entries_of[put.kind, put.key] = tuple(of)

    def _forget_entries(self, kind: str, key: str) -> None:
        for index, entry in self._entries_of.pop((kind, key), ()):
            entries = self._entries[index]
            del entries[bisect_left(entries, entry)]
            if not entries:
                del self._entries[index]

    def append(self, entry: bytes) -> int:
        self.last_number += 1
        self.log.append((self.last_number, entry))
        self.on_appended(self.last_number, entry)
        return self.last_number

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        self.write(checkpoint.documents)
        partition = self.states.setdefault(checkpoint.partition, {})
        for key, record, hot in checkpoint.states:
            partition[key] = (record, hot)
        known = self.watermarks.get(checkpoint.partition, 0)
        self.watermarks[checkpoint.partition] = max(known, checkpoint.watermark)


class MemoryStore:
    """A ``Store`` on a disk in memory."""

    name = "memory:"

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self._closed = False
        self._times = CommitTimes()

    def _open(self) -> Disk:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return self.disk

    async def get(self, kind: str, keys: Sequence[str]) -> Mapping[str, Document]:
        """See ``Store.get``."""
        documents = self._open().documents.get(kind, {})
        return {key: documents[key] for key in keys if key in documents}

    async def find(
        self, kind: str, index: str, value: str, *, after: str | None = None, limit: int = 100, descending: bool = False
    ) -> Page:
        """See ``Store.find``."""
        if not 1 <= limit <= MAX_PAGE:
            raise ValueError(f"limit must be 1 to {MAX_PAGE}")
        value.encode()
        listing = (kind, index, value, descending)
        entries = self._open().entries((kind, index, value))
        if descending:
            end = len(entries) if after is None else bisect_left(entries, decode_cursor(listing, after))
            found = entries[max(0, end - limit) : end][::-1]
            more = end > limit
        else:
            start = 0 if after is None else bisect_right(entries, decode_cursor(listing, after))
            found = entries[start : start + limit]
            more = start + limit < len(entries)
        documents = self.disk.documents[kind] if found else {}
        cursor = encode_cursor(listing, Position(*found[-1])) if more else None
        return Page(tuple(documents[key] for _, key in found), cursor)

    async def count(self, kind: str, index: str, value: str) -> int:
        """See ``Store.count``."""
        return len(self._open().entries((kind, index, value)))

    async def index_values(self, kind: str, index: str) -> Sequence[tuple[str, str]]:
        """See ``Store.index_values``."""
        return self._open().values(kind, index)

    async def commit(self, writes: Sequence[Put | Delete]) -> None:
        """See ``Store.commit``."""
        self._open().write(writes)
        self._times.committed(jobs=1, took_s=0.0)

    async def append(self, entry: bytes) -> int:
        """See ``Store.append``."""
        return self._open().append(entry)

    async def read_log(self, *, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """See ``Store.read_log``."""
        log = self._open().log
        start = bisect_right(log, after, key=lambda item: item[0])
        return log[start : start + limit]

    async def trim_log(self, *, through: int) -> int:
        """See ``Store.trim_log``."""
        disk = self._open()
        gone = bisect_right(disk.log, through, key=lambda item: item[0])
        del disk.log[:gone]
        return gone

    async def checkpoint(self, checkpoint: Checkpoint) -> None:
        """See ``Store.checkpoint``."""
        if any(partition_of(key) != checkpoint.partition for key, _, _ in checkpoint.states):
            raise ValueError(f"a state is not of partition {checkpoint.partition}")
        self._open().checkpoint(checkpoint)

    async def watermarks(self) -> Mapping[int, int]:
        """See ``Store.watermarks``."""
        return dict(self._open().watermarks)

    async def states(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """See ``Store.states``."""
        states = self._open().states
        found = ((key, states.get(partition_of(key), {}).get(key)) for key in keys)
        return {key: state[0] for key, state in found if state is not None}

    async def hot_states(self, partition: int) -> Sequence[tuple[str, bytes]]:
        """See ``Store.hot_states``."""
        states = self._open().states.get(partition, {})
        return [(key, record) for key, (record, hot) in states.items() if hot]

    async def secret(self, name: str) -> bytes:
        """See ``Store.secret``."""
        disk = self._open()
        if name not in disk.secrets:
            disk.secrets[name] = disk.chance.randbytes(SECRET_BYTES)
        return disk.secrets[name]

    async def serve_alone(self) -> None:
        """See ``Store.serve_alone``."""
        disk = self._open()
        if disk.server is not None:
            raise StoreUnavailable("another service has this store")
        disk.server = self

    def stats(self) -> StoreStats:
        """See ``Store.stats``."""
        return self._times.stats(queue_depth=0)

    async def close(self) -> None:
        """See ``Store.close``."""
        self._closed = True
        if self.disk.server is self:
            self.disk.server = None
