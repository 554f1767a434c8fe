"""Which speed limits may the stored states not know? Those that imports wrote after the newest note of a whole round.

A start needs not ask the registry for each of millions of vehicles then, only for what changed since that note.
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
"""More than so many are asked for as they come, and not kept in memory."""

LimitsOf = Callable[[Sequence[str]], Awaitable[Mapping[str, int]]]


class LimitsSeen:
    """Reads the note at the start, and writes it after each round of checkpoints that began with all limits told."""

    def __init__(self, store: Store, registry: RegistrySource, *, told: Callable[[], str | None]) -> None:
        """``told``: the registry's revision whose limits all living vehicles were told, None while some were not."""
        self._store = store
        self._registry = registry
        self.told = told
        self._noted: str | None = None

    async def limits_of(self, ask: LimitsOf) -> LimitsOf:
        """Tells of given vehicles the limits (km/h) that their stored states may not know; ``ask`` knows all limits.

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
        """Every stored state knows its limit as of this revision. Raises ``StoreError``."""
        if revision != self._noted:
            await self._store.commit([Put(KIND, KEY, encode(revision))])
            self._noted = revision


def _only(changed: Mapping[str, int]) -> LimitsOf:
    async def limits_of(keys: Sequence[str]) -> Mapping[str, int]:
        return {key: changed[key] for key in keys if key in changed} if changed else {}

    return limits_of
