"""Keeps the note that tells which speed limits the stored states know, and finds those written since.

A start therefore asks the registry only for what changed since that note, not for each of millions of vehicles.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from actors.vehicles.directory import RegistrySource
from persistence.records import decode, encode
from persistence.store import Put, Store

KIND: Final = "limits_seen"
KEY: Final = ""
MAX_CHANGED: Final = 100_000
"""Changed limits kept in memory; more than these are asked for as they come."""

LimitsOf = Callable[[Sequence[str]], Awaitable[Mapping[str, int]]]


class LimitsSeen:
    """Reads the note at the start, and writes it after each round of checkpoints that began with all limits told."""

    def __init__(self, store: Store, registry: RegistrySource, *, told: Callable[[], str | None]) -> None:
        """Prepare the note; ``told`` gives the registry's revision whose limits all living vehicles know, None if some
        do not.
        """
        self._store = store
        self._registry = registry
        self.told = told
        self._noted: str | None = None

    async def limits_of(self, ask: LimitsOf) -> LimitsOf:
        """Return the limits (km/h) of given vehicles that their stored states may not know; ``ask`` knows all limits.

        Raises ``StoreError``.
        """
        document = (await self._store.get(KIND, (KEY,))).get(KEY)
        if document is None:
            return ask
        self._noted = cursor = decode(document.record, str)
        changed: dict[str, int] = {}
        while len(changed) <= MAX_CHANGED:
            changes = await self._registry.changes(cursor)
            if not changes.vehicles:
                return _only(changed)
            changed.update((vehicle.id, vehicle.speed_limit_kmh) for vehicle in changes.vehicles)
            cursor = changes.cursor
        return ask

    async def note(self, revision: str) -> None:
        """Note that every stored state knows its limit as of this revision. Raises ``StoreError``."""
        if revision != self._noted:
            await self._store.commit([Put(KIND, KEY, encode(revision))])
            self._noted = revision


def _only(changed: Mapping[str, int]) -> LimitsOf:
    async def limits_of(keys: Sequence[str]) -> Mapping[str, int]:
        return {key: changed[key] for key in keys if key in changed} if changed else {}

    return limits_of
