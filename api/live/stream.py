"""What one live stream still has to tell: its newest position and presence, and the alerts since; never a backlog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from actors.people.share_link import ShareOver
from actors.vehicles.watch import AlertChanged, Moved, PresenceChanged
from api.live.event_line import EventLine
from api.live.resume import Delivered
from domain.people.share import EndReason, Share
from domain.vehicle.alerts import Alert

MAX_ALERTS: Final = 64
"""That wait to be sent. R54: none is dropped; a stream with more is cut, and resumes from the last that arrived."""


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing of the vehicle is told any more."""

    reason: EndReason | None
    """Why the share ended; None where the share lives on, and the client may come again."""
    come_later: bool = False
    """Not at once."""


class Teller(Protocol):
    """Who sends what the streams have. Nothing here may raise or wait."""

    def tell_soon(self, stream: LiveStream) -> None:
        """There is something new."""
        ...

    def beat(self, stream: LiveStream) -> None:
        """It is time for a sign of life."""
        ...

    def take_leave(self, stream: LiveStream) -> None:
        """It is over, and its client has to be told now."""
        ...

    def leave(self, stream: LiveStream) -> None:
        """Its client has gone."""
        ...


class LiveStream:
    """Hears the announcements of one share and its vehicle, and holds them until they are told."""

    __slots__ = (
        "_teller",
        "account_id",
        "alerts",
        "delivered",
        "fixed_at",
        "heart_part",
        "is_being_checked",
        "is_due",
        "line",
        "missed",
        "moved",
        "online",
        "opening",
        "over",
        "presence",
        "session_key",
        "session_until",
        "share",
        "share_id",
    )

    def __init__(
        self, teller: Teller, share_id: str, *, account_id: str, session_key: str, session_until: float
    ) -> None:
        self._teller = teller
        self.share_id = share_id
        self.account_id = account_id
        self.session_key = session_key
        self.session_until = session_until
        """When the session ends by itself (Unix seconds)."""
        self.share: Share | None = None
        self.line: EventLine | None = None
        """While there is a client that hears."""
        self.heart_part = 0
        self.is_being_checked = False
        """Whether its session goes on."""
        self.is_due = False
        """Waits for its turn to tell."""
        self.over: Over | None = None
        self.moved: Moved | None = None
        self.presence: PresenceChanged | None = None
        self.alerts: dict[str, Alert] = {}
        self.opening = b""
        """What it begins with."""
        self.missed: list[Alert] = []
        """While the client was away; sent before anything newer."""
        self.delivered = Delivered(0)
        self.fixed_at = 0
        """Of the position that was told last."""
        self.online = False
        """As it was told last."""

    # -- heard; nothing here may raise or wait -------------------------------------------------------------------------

    def hear(self, event: object) -> None:
        """An announcement, in the turn of the actor that makes it."""
        if self.over is not None:
            return
        match event:
            case Moved():
                self.moved = event
            case PresenceChanged():
                self.presence = event
            case AlertChanged(alert):
                self.alerts.pop(alert.id, None)
                self.alerts[alert.id] = alert
                if len(self.alerts) > MAX_ALERTS:
                    self.end(None)
            case ShareOver(_, reason):
                self.end(reason)
            case _:
                pass  # Of a newer version of this program.
        self._teller.tell_soon(self)

    def beat(self) -> None:
        """It is time for a sign of life."""
        self._teller.beat(self)

    def end(self, reason: EndReason | None, *, come_later: bool = False) -> None:
        """From now on nothing of the vehicle goes out; what a slow reader has not taken yet is taken back."""
        if self.over is not None:
            return
        self.over = Over(reason, come_later)
        self.moved = self.presence = None
        self.alerts, self.missed, self.opening = {}, [], b""
        if self.line is not None:
            self._teller.take_leave(self)

    # -- its line ------------------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """The client takes more."""
        self._teller.tell_soon(self)

    def lost(self) -> None:
        """The client has gone."""
        self.line = None
        self._teller.leave(self)

    # -- told ----------------------------------------------------------------------------------------------------------

    def take_opening(self) -> bytes:
        """Once."""
        opening, self.opening = self.opening, b""
        return opening
