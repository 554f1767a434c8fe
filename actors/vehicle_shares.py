"""Keeps the share links of a vehicle that count (R18): a document that each command reads, and commits with what else it changes.

Two commands about one vehicle at a time both name the version that they have read, so the store takes one of them, and the
other decides anew.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from domain import vehicle_shares
from domain.vehicle_shares import LiveShare, grant, release
from persistence.records import decode, encode
from persistence.store import Put, Store

KIND: Final = "vehicle_shares"


async def granted(store: Store, vehicle_id: str, share: LiveShare, *, now: float) -> Put:
    """The write that makes ``share`` count. Raises ``TooManyShares`` or ``StoreError``."""
    version, live = await _read(store, vehicle_id)
    return _write(vehicle_id, version, grant(live, share, now=now))


async def released(store: Store, vehicle_id: str, share_ids: Collection[str], *, now: float) -> Put:
    """The write after which these count no longer. Raises ``StoreError``."""
    version, live = await _read(store, vehicle_id)
    return _write(vehicle_id, version, release(live, share_ids, now=now))


async def check_room(store: Store, vehicle_id: str, *, now: float) -> None:
    """Whether one more would count at this moment. Raises ``TooManyShares`` or ``StoreError``."""
    vehicle_shares.check_room((await _read(store, vehicle_id))[1], now=now)


async def _read(store: Store, vehicle_id: str) -> tuple[int, tuple[LiveShare, ...]]:
    document = (await store.get(KIND, (vehicle_id,))).get(vehicle_id)
    if document is None:
        return 0, ()
    return document.version, decode(document.record, tuple[LiveShare, ...])


def _write(vehicle_id: str, version: int, live: tuple[LiveShare, ...]) -> Put:
    return Put(KIND, vehicle_id, encode(live), expected_version=version)
