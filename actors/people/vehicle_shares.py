"""Counts the live share links of a vehicle (R18), over all its drivers.

A vehicle's list names the shares that counted when the newest was made; which of them live, their own documents say. So the
list changes only when a share is made. When two drivers share one vehicle at the same time, both name the version that they
have read. The store takes one commit, and the other command is decided anew. The end of a share waits for no other driver.
"""

from __future__ import annotations

from typing import Final

from actors.people.documents import SHARE
from domain.people import shares_of_vehicle as vehicle_shares
from domain.people.share import Share
from domain.people.shares_of_vehicle import LiveShare, grant
from persistence.records import decode, encode
from persistence.store import Document, Put, Store, StoreFormatError

KIND: Final = "vehicle_shares"


async def granted(store: Store, vehicle_id: str, share: LiveShare, *, now: float) -> Put:
    """Return the write that makes ``share`` count. Raises ``TooManyShares`` or ``StoreError``."""
    version, live = await _unended(store, vehicle_id)
    return Put(KIND, vehicle_id, encode(grant(live, share, now=now)), expected_version=version)


async def check_room(store: Store, vehicle_id: str, *, now: float) -> None:
    """Check that one more share would count at this moment. Raises ``TooManyShares`` or ``StoreError``."""
    vehicle_shares.check_room((await _unended(store, vehicle_id))[1], now=now)


async def _unended(store: Store, vehicle_id: str) -> tuple[int, tuple[LiveShare, ...]]:
    """Return the list's version, and its shares without those that were ended before their time."""
    document = (await store.get(KIND, (vehicle_id,))).get(vehicle_id)
    if document is None:
        return 0, ()
    listed = decode(document.record, tuple[LiveShare, ...])
    links = await store.get(SHARE, [each.share_id for each in listed])
    return document.version, tuple(each for each in listed if not _has_ended(links.get(each.share_id)))


def _has_ended(link: Document | None) -> bool:
    """Tell whether a share has ended; one that can't be read counts until its time is up."""
    try:
        return link is None or decode(link.record, Share).ended is not None
    except StoreFormatError:
        return False
