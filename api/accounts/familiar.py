"""Remembers the networks that each user name signed in from, so that strangers cannot lock it out there (R61)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from api.http.keyed import Keyed
from persistence.records import decode, encode
from persistence.store import Delete, IndexEntry, Put, Store, StoreError

log = logging.getLogger(__name__)

KIND: Final = "attempts.familiar"
BY_EXPIRY: Final = "expiry"
FAMILIAR_S: Final = 30 * 86_400.0
PURGED_AT_ONCE: Final = 20


class FamiliarPlaces:
    """User names and the networks that they signed in from within 30 days, as keyed hashes."""

    def __init__(self, store: Store, now: Callable[[], float], keyed: Keyed) -> None:
        self._store = store
        self._now = now
        self._keyed = keyed

    async def has(self, username: str, network: str) -> bool:
        """Tell whether this name signed in from this network. Raises ``StoreUnavailable``."""
        key = await self._key(username, network)
        document = (await self._store.get(KIND, (key,))).get(key)
        return document is not None and self._is_recent(decode(document.record, float))

    async def note(self, username: str, network: str) -> None:
        """Remember that this name signed in from this network. A failed write is dropped."""
        now = self._now()
        entry = IndexEntry(BY_EXPIRY, "", f"{now + FAMILIAR_S:017.6f}")
        try:
            key = await self._key(username, network)
            await self._store.commit([*await self._expired(key), Put(KIND, key, encode(now), (entry,))])
        except StoreError as error:
            log.warning("the network of a business's sign-in is not remembered: %s", error)

    async def _key(self, username: str, network: str) -> str:
        return await self._keyed.of("familiar", username, network)

    async def _expired(self, but: str) -> list[Delete]:
        page = await self._store.find(KIND, BY_EXPIRY, "", limit=PURGED_AT_ONCE)
        old = (each.key for each in page.documents if not self._is_recent(decode(each.record, float)))
        return [Delete(KIND, key) for key in old if key != but]

    def _is_recent(self, signed_in_at: float) -> bool:
        return self._now() - signed_in_at < FAMILIAR_S
