"""When was each share last watched (R63)? Noted at once, written behind: an observation, not a fact that decides."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from persistence.records import decode, encode
from persistence.store import Put, Store, StoreError

log = logging.getLogger(__name__)

KIND: Final = "watch"
FLUSH_S: Final = 5.0
"""Real seconds between two writes; a crash may forget so much."""
PAGE: Final = 500


class WatchLog:
    """Share id → Unix seconds; holds what was not written yet, and no more than one instant a share."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unwritten: dict[str, float] = {}

    def note(self, share_id: str, at: float) -> None:
        """Somebody who may looks at it now."""
        self._unwritten[share_id] = at

    async def last(self, share_ids: Sequence[str]) -> Mapping[str, float]:
        """Those of these shares that were ever watched. Raises ``StoreUnavailable``."""
        unwritten = self._among(share_ids)  # Before we read: what is being written meanwhile is in one of the two.
        documents = await self._store.get(KIND, share_ids)
        seen = {key: decode(document.record, float) for key, document in documents.items()}
        return seen | unwritten | self._among(share_ids)

    def _among(self, share_ids: Sequence[str]) -> dict[str, float]:
        return {key: self._unwritten[key] for key in share_ids if key in self._unwritten}

    async def flush(self) -> None:
        """Writes what is new. Raises ``StoreUnavailable``, and keeps it then."""
        unwritten = list(self._unwritten.items())  # What comes meanwhile waits, or many viewers would keep us writing.
        for start in range(0, len(unwritten), PAGE):
            page = unwritten[start : start + PAGE]
            await self._store.commit([Put(KIND, share_id, encode(at)) for share_id, at in page])
            for share_id, at in page:
                if self._unwritten.get(share_id) == at:
                    del self._unwritten[share_id]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            try:
                await self.flush()
            except StoreError as error:
                log.warning("who watched is written later: %s", error)
