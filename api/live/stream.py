"""The state of one live stream: the newest position and presence to send, and the alerts since; never a backlog."""

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
"""Alerts that wait to be sent. R54 drops none: a stream with more is cut and resumes from the last that arrived."""


@dataclass(frozen=True, slots=True)
class Over:
    """The stream is over: nothing of the vehicle is sent any longer."""

    reason: EndReason | None
    """The reason why the share ended; None where the share goes on and the client may reconnect."""
    come_later: bool = False
    """True when the client should not reconnect at once."""


class Teller(Protocol):
    """Sends the streams' news. No method may raise or wait."""

    def tell_soon(self, stream: LiveStream) -> None:
        """Note that the stream has news."""
        ...

    def beat(self, stream: LiveStream) -> None:
        """Send a sign of life."""
        ...

    def take_leave(self, stream: LiveStream) -> None:
        """Tell the client at once that the stream is over."""
        ...

    def leave(self, stream: LiveStream) -> None:
        """Note that the stream's client has gone."""
        ...


class LiveStream:
    """Hears the announcements of one share and its vehicle, and holds them until they are sent."""

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
        """The session's own expiry (Unix seconds)."""
        self.share: Share | None = None
        self.line: EventLine | None = None
        """The line to the client, while it is connected."""
        self.heart_part = 0
        self.is_being_checked = False
        """True while a check of its session runs."""
        self.is_due = False
        """True while it waits for its turn to send."""
        self.over: Over | None = None
        self.moved: Moved | None = None
        self.presence: PresenceChanged | None = None
        self.alerts: dict[str, Alert] = {}
        self.opening = b""
        """The bytes that the stream begins with."""
        self.missed: list[Alert] = []
        """Alerts from the client's absence; sent before anything newer."""
        self.delivered = Delivered(0)
        self.fixed_at = 0
        """The time of the position sent last."""
        self.online = False
        """The presence sent last."""

    # -- heard; nothing here may raise or wait -------------------------------------------------------------------------

    def hear(self, event: object) -> None:
        """Take an announcement, in the turn of the actor that makes it."""
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
                pass  # an event of a newer version of this program
        self._teller.tell_soon(self)

    def beat(self) -> None:
        """Pass on that a sign of life is due."""
        self._teller.beat(self)

    def end(self, reason: EndReason | None, *, come_later: bool = False) -> None:
        """Stop the stream: nothing of the vehicle goes out from now on, and unsent news is withdrawn."""
        if self.over is not None:
            return
        self.over = Over(reason, come_later)
        self.moved = self.presence = None
        self.alerts, self.missed, self.opening = {}, [], b""
        if self.line is not None:
            self._teller.take_leave(self)

    # -- its line ------------------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Send on: the client takes more."""
        self._teller.tell_soon(self)

    def lost(self) -> None:
        """Leave: the client has gone."""
        self.line = None
        self._teller.leave(self)

    # -- told ----------------------------------------------------------------------------------------------------------

    def take_opening(self) -> bytes:
        """Return the opening bytes, once."""
        opening, self.opening = self.opening, b""
        return opening
