"""The share links of a vehicle that count (R18): its own document, changed only in its actor's turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.vehicle_shares import LiveShare, check_room, grant, release
from persistence.records import decode, encode
from persistence.store import Put, Store

KIND: Final = "vehicle_shares"


@dataclass(frozen=True, slots=True)
class GrantShare:
    """A driver would share this vehicle. Answered with True; raises ``TooManyShares`` (R18)."""

    share: LiveShare


@dataclass(frozen=True, slots=True)
class ReleaseShare:
    """A share has ended, or did not come about. Answered with True."""

    share_id: str


class VehicleShares:
    """Read and written within one turn of the vehicle's actor, which holds nothing of it in between.

    Each write names the version that it changes, and none removes the document: one that comes late changes nothing.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def grant(self, vehicle_id: str, share: LiveShare, *, now: float) -> bool:
        """Raises ``TooManyShares`` or ``StoreError``."""
        version, live = await self._read(vehicle_id)
        await self._write(vehicle_id, version, grant(live, share, now=now))
        return True

    async def release(self, vehicle_id: str, share_id: str, *, now: float) -> bool:
        """Raises ``StoreError``."""
        version, live = await self._read(vehicle_id)
        if any(each.share_id == share_id for each in live):
            await self._write(vehicle_id, version, release(live, share_id, now=now))
        return True

    async def check_room(self, vehicle_id: str, *, now: float) -> None:
        """Whether one more would be granted at this moment. Raises ``TooManyShares`` or ``StoreError``."""
        check_room((await self._read(vehicle_id))[1], now=now)

    async def _read(self, vehicle_id: str) -> tuple[int, tuple[LiveShare, ...]]:
        document = (await self._store.get(KIND, (vehicle_id,))).get(vehicle_id)
        if document is None:
            return 0, ()
        return document.version, decode(document.record, tuple[LiveShare, ...])

    async def _write(self, vehicle_id: str, version: int, live: tuple[LiveShare, ...]) -> None:
        await self._store.commit([Put(KIND, vehicle_id, encode(live), expected_version=version)])
