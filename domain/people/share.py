"""A share link: unopened, open to one person, then ended for good (R17, R20, R21, R33)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Final, Literal

from domain.civil_time import days_later, months_later
from domain.errors import LinkTaken, OwnLink, ShareEnded
from domain.identifiers import PlateColor

EndReason = Literal["cancelled", "expired", "unbound"]
Status = Literal["unopened", "open", "cancelled", "expired", "ended"]
LinkState = Literal["unopened", "taken", "ended", "yours"]


class Duration(StrEnum):
    """The durations for which a driver may share: these four and no other (R17)."""

    THREE_DAYS = "3d"
    SEVEN_DAYS = "7d"
    ONE_MONTH = "1mo"
    ONE_YEAR = "1y"


_LATER: Final[Mapping[Duration, Callable[[float], float]]] = {
    Duration.THREE_DAYS: partial(days_later, days=3),
    Duration.SEVEN_DAYS: partial(days_later, days=7),
    Duration.ONE_MONTH: partial(months_later, months=1),
    Duration.ONE_YEAR: partial(months_later, months=12),
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """The one person who opened the link."""

    account_id: str
    display_name: str
    opened_at: float


@dataclass(frozen=True, slots=True)
class End:
    """The reasons for which a share ends before its time is up."""

    at: float
    reason: EndReason


@dataclass(frozen=True, slots=True)
class Share:
    """A share link. Instants are Unix seconds, our clock; of the token only a hash is known (R62)."""

    id: str
    vehicle_id: str
    plate: str
    plate_color: PlateColor
    binding_id: str
    driver_id: str
    driver_name: str
    duration: Duration
    created_at: float
    expires_at: float
    token_hash: str
    viewer: Viewer | None = None
    ended: End | None = None
    call_me: bool = False
    """The driver lets the viewer see the phone number, to call it (R62)."""


def audit_detail(share: Share) -> str:
    """Return the audit's detail (R64): the vehicle, and whether the phone number goes with it."""
    return f"{share.plate}，家人可以看到手机号" if share.call_me else share.plate


def expires_at(created_at: float, duration: Duration) -> float:
    """Return when the time is up (R17): it runs from creation; a month and a year are calendar ones."""
    return _LATER[duration](created_at)


def end_reason(share: Share, now: float) -> EndReason | None:
    """Return why the share shows nothing any longer, None while it lives. The clock decides, not a timer."""
    if share.ended is not None:
        return share.ended.reason
    return "expired" if now >= share.expires_at else None


def status(share: Share, now: float) -> Status:
    """Return the status by the API's words."""
    match end_reason(share, now):
        case None:
            return "unopened" if share.viewer is None else "open"
        case "unbound":
            return "ended"
        case reason:
            return reason


def link_state(share: Share, viewers: Collection[str], now: float) -> LinkState:
    """Return the state that a preview shows to a holder of the link.

    ``viewers`` are that account's ids, if signed in.
    """
    if end_reason(share, now) is not None:
        return "ended"
    if share.viewer is None:
        return "unopened"
    return "yours" if share.viewer.account_id in viewers else "taken"


def open_link(share: Share, viewer: Viewer, *, ids: Collection[str]) -> Share:
    """Open the link (R20): its first opener owns it and may come back. ``ids`` are all that the viewer ever had.

    Raises ``ShareEnded`` (for every account, even if taken), ``OwnLink`` or ``LinkTaken``.
    """
    if end_reason(share, viewer.opened_at) is not None:
        raise ShareEnded
    if share.driver_id in ids:
        raise OwnLink
    if share.viewer is None:
        return replace(share, viewer=viewer)
    if share.viewer.account_id not in ids:
        raise LinkTaken
    return share


def end(share: Share, reason: EndReason, *, at: float) -> Share:
    """End the share.

    An ended share stays as it ended; one whose time was up before has expired, whatever ``end`` says.
    """
    if share.ended is not None:
        return share
    if at >= share.expires_at:
        return replace(share, ended=End(share.expires_at, "expired"))
    return replace(share, ended=End(at, reason))
