"""A delegation link: one family member opens it once and binds through it, within 7 days (R22, R23)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final, Literal

from domain.civil_time import days_later
from domain.errors import DelegationEnded, LinkTaken, NotFound, OwnLink
from domain.identifiers import PlateColor
from domain.people.share import LinkState, Viewer

LIFETIME_DAYS: Final = 7
Status = Literal["unopened", "open", "bound", "withdrawn", "expired"]


@dataclass(frozen=True, slots=True)
class Delegation:
    """A driver's wish that a family member bind this vehicle. Instants are Unix seconds, our clock."""

    id: str
    driver_id: str
    driver_name: str
    vehicle_id: str
    plate: str
    plate_color: PlateColor
    created_at: float
    expires_at: float
    token_hash: str
    holder: Viewer | None = None
    """The family member who opened the link."""
    binding_id: str | None = None
    withdrawn_at: float | None = None


def lapses_at(created_at: float) -> float:
    """Return when the link expires (R23)."""
    return days_later(created_at, LIFETIME_DAYS)


def status(delegation: Delegation, now: float) -> Status:
    """Return the status by the API's words; the clock decides, not a timer."""
    if delegation.binding_id is not None:
        return "bound"
    if delegation.withdrawn_at is not None:
        return "withdrawn"
    if now >= delegation.expires_at:
        return "expired"
    return "unopened" if delegation.holder is None else "open"


def is_live(delegation: Delegation, now: float) -> bool:
    """Tell whether a family member may still bind through the link."""
    return status(delegation, now) in ("unopened", "open")


def link_state(delegation: Delegation, viewers: Collection[str], now: float) -> LinkState:
    """Return the state that a preview shows to a holder of the link.

    ``viewers`` are that account's ids, if signed in.
    """
    if not is_live(delegation, now):
        return "ended"
    if delegation.holder is None:
        return "unopened"
    return "yours" if delegation.holder.account_id in viewers else "taken"


def open_link(delegation: Delegation, holder: Viewer, *, ids: Collection[str]) -> Delegation:
    """Open the link (R23): its first opener holds it and may come back. ``ids`` are all that this account ever had.

    Raises ``DelegationEnded``, ``OwnLink`` or ``LinkTaken``.
    """
    if not is_live(delegation, holder.opened_at):
        raise DelegationEnded
    if delegation.driver_id in ids:
        raise OwnLink
    if delegation.holder is None:
        return replace(delegation, holder=holder)
    if delegation.holder.account_id not in ids:
        raise LinkTaken
    return delegation


def bind_through(delegation: Delegation, binding_id: str, *, ids: Collection[str], now: float) -> Delegation:
    """Mark the link as used. Raises ``NotFound`` for any account but its holder, and ``DelegationEnded``."""
    if delegation.holder is None or delegation.holder.account_id not in ids:
        raise NotFound
    if not is_live(delegation, now):
        raise DelegationEnded
    return replace(delegation, binding_id=binding_id)


def withdraw(delegation: Delegation, *, now: float) -> Delegation:
    """Withdraw the link (R23). Raises ``DelegationEnded`` when it has served, or is over anyway."""
    if not is_live(delegation, now):
        raise DelegationEnded
    return replace(delegation, withdrawn_at=now)
