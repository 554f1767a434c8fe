"""The live share links of a vehicle and their limit (R18)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.errors import TooManyShares

MAX_LIVE_SHARES: Final = 3
"""Live links of a vehicle, over all of its drivers together, opened or not."""


@dataclass(frozen=True, slots=True)
class LiveShare:
    """A share that counts until ``expires_at`` (Unix seconds), unless it is released before."""

    share_id: str
    expires_at: float


def grant(live: tuple[LiveShare, ...], share: LiveShare, *, now: float) -> tuple[LiveShare, ...]:
    """Return the counting shares with this one among them; granting the same one again changes nothing.

    Raises ``TooManyShares``.
    """
    others = release(live, share.share_id, now=now)
    check_room(others, now=now)
    return (*others, share)


def check_room(live: tuple[LiveShare, ...], *, now: float) -> None:
    """Check R18 for one more share. Raises ``TooManyShares``."""
    if sum(each.expires_at > now for each in live) >= MAX_LIVE_SHARES:
        raise TooManyShares(limit=MAX_LIVE_SHARES)


def release(live: tuple[LiveShare, ...], share_id: str, *, now: float) -> tuple[LiveShare, ...]:
    """Return the counting shares without this one."""
    return tuple(each for each in live if each.expires_at > now and each.share_id != share_id)
