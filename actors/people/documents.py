"""The store's form of facts of people and links: kinds, indexes, and the documents that actors commit."""

from __future__ import annotations

from typing import Final

from domain.errors import KeyForgotten
from domain.people.delegation import Delegation
from domain.people.driver import Binding
from domain.people.share import Share
from persistence.records import encode
from persistence.store import IndexEntry, Put

PERSON: Final = "person"
BUSINESS: Final = "business"
SHARE: Final = "share"
BINDING: Final = "binding"
DELEGATION: Final = "delegation"

DEADLINE: Final = "deadline"
"""The index of shares and delegations that live, by their end."""
BY_VEHICLE: Final = "vehicle"
"""The index of bindings that stand now, and no others."""
CURRENT: Final = "current"
HISTORY: Final = "history"
"""The index of a driver's bindings, those that stand and those that ended, by when they ended."""
BY_DRIVER: Final = "driver"
BY_VIEWER: Final = "viewer"
BY_HOLDER: Final = "holder"


KEY_LIFETIME_S: Final = 24 * 3600.0
"""Seconds within which a repeated command is answered with its first result."""


def check_repeat(*, made_at: float, now: float) -> None:
    """Raise ``KeyForgotten`` if what the command made (Unix seconds) is too old to be a repeat's."""
    if now - made_at >= KEY_LIFETIME_S:
        raise KeyForgotten


def sort_key(at: float) -> str:
    """Return a text that sorts like the instant (Unix seconds)."""
    return f"{at:017.6f}"


def binding_document(binding: Binding, *, is_new: bool = False) -> Put:
    """Return the document, found by vehicle and among the driver's current ones, or in the driver's history."""
    if binding.unbound_at is not None:
        entries: tuple[IndexEntry, ...] = (IndexEntry(HISTORY, binding.driver_id, sort_key(binding.unbound_at)),)
    else:
        sort = sort_key(binding.bound_at)
        entries = (
            IndexEntry(BY_VEHICLE, binding.vehicle.vehicle_id, sort),
            IndexEntry(CURRENT, binding.driver_id, sort),
        )
    return Put(BINDING, binding.id, encode(binding), entries, expected_version=0 if is_new else None)


def delegation_document(delegation: Delegation, *, live: bool, is_new: bool = False) -> Put:
    """Return the document, found by the driver and by its holder; while it lives, by its end."""
    entries = [IndexEntry(BY_DRIVER, delegation.driver_id, sort_key(delegation.created_at))]
    if delegation.holder is not None:
        entries.append(IndexEntry(BY_HOLDER, delegation.holder.account_id, sort_key(delegation.holder.opened_at)))
    if live:
        entries.append(IndexEntry(DEADLINE, "", sort_key(delegation.expires_at)))
    return Put(DELEGATION, delegation.id, encode(delegation), tuple(entries), expected_version=0 if is_new else None)


def share_entries(share: Share) -> tuple[IndexEntry, ...]:
    """Return the entries by which a share is found: the driver and the viewer; while it lives, its end."""
    entries = [IndexEntry(BY_DRIVER, share.driver_id, sort_key(share.created_at))]
    if share.viewer is not None:
        entries.append(IndexEntry(BY_VIEWER, share.viewer.account_id, sort_key(share.viewer.opened_at)))
    if share.ended is None:
        entries.append(IndexEntry(DEADLINE, "", sort_key(share.expires_at)))
    return tuple(entries)


def share_document(share: Share, *, version: int) -> Put:
    """Write a share whose document has this version (0: there is none)."""
    return Put(SHARE, share.id, encode(share), share_entries(share), expected_version=version)
