"""Times when something was last seen, by key: noted at once, written behind.

They are observations, and decide nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from persistence.records import decode, encode
from persistence.store import Put, Store, StoreError

log = logging.getLogger(__name__)

FLUSH_S: Final = 5.0
"""Real seconds between two writes; a crash may forget the notes of this time."""
PAGE: Final = 500
MAX_NOTED: Final = 10_000
"""Times kept in memory although they are written, so that a coarse note is not written again at once."""


class NotedTimes:
    """Maps keys to Unix seconds; holds unwritten notes, at most one instant a key."""

    def __init__(self, store: Store, kind: str, *, every_s: float = 0.0) -> None:
        """Prepare the notes of documents of ``kind``. A note within ``every_s`` of the last one is passed over."""
        self._store = store
        self._kind = kind
        self._every_s = every_s
        self._unwritten: dict[str, float] = {}
        self._noted: dict[str, float] = {}
        """The written notes, kept only where notes may be passed over; the oldest first."""

    def note(self, key: str, at: float) -> None:
        """Note that the key is seen now."""
        if self._every_s:
            if abs(at - self._noted.get(key, float("-inf"))) < self._every_s:
                return
            self._noted.pop(key, None)
            if len(self._noted) >= MAX_NOTED:
                del self._noted[next(iter(self._noted))]
            self._noted[key] = at
        self._unwritten[key] = at

    def forget(self, keys: Iterable[str]) -> None:
        """Forget these keys: their subjects and documents are gone."""
        for key in keys:
            self._unwritten.pop(key, None)
            self._noted.pop(key, None)

    async def last(self, keys: Sequence[str]) -> Mapping[str, float]:
        """Return when each of these keys was seen, without those that never were. Raises ``StoreUnavailable``."""
        unwritten = self._among(keys)  # Before the read: a note being written meanwhile is in one of the two.
        documents = await self._store.get(self._kind, keys)
        seen = {key: decode(document.record, float) for key, document in documents.items()}
        return seen | unwritten | self._among(keys)

    def _among(self, keys: Sequence[str]) -> dict[str, float]:
        return {key: self._unwritten[key] for key in keys if key in self._unwritten}

    async def flush(self) -> None:
        """Write new notes. Raises ``StoreUnavailable``, and keeps them then."""
        unwritten = list(self._unwritten.items())  # Later notes wait, or many viewers would keep us writing.
        for start in range(0, len(unwritten), PAGE):
            page = unwritten[start : start + PAGE]
            await self._store.commit([Put(self._kind, key, encode(at)) for key, at in page])
            for key, at in page:
                if self._unwritten.get(key) == at:
                    del self._unwritten[key]

    async def run(self) -> None:
        """Write behind until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            try:
                await self.flush()
            except StoreError as error:
                log.warning("what was last seen is written later (%s): %s", self._kind, error)
