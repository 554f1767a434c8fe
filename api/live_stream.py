"""What does one live stream still have to tell? Its newest position and presence, and the alerts since: never a backlog."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from actors.share_link import ShareOver
from actors.vehicle_watch import AlertChanged, Moved, PresenceChanged
from api.event_stream import EventStream
from api.live_resume import Delivered
from domain.alerts import Alert
from domain.share import EndReason, Share

MAX_ALERTS: Final = 64
"""That wait to be sent. R54: none is dropped; a stream with more is cut, and resumes from the last that arrived."""


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing of the vehicle is told any more."""

    reason: EndReason | None
    """Why the share ended; None where the share lives on, and the client may come again."""
    come_later: bool = False
    """Not at once."""


class LiveStream:
    """Hears the announcements of one share and its vehicle; whoever sends waits, and takes what is there."""

    __slots__ = (
        "_waiting",
        "alerts",
        "delivered",
        "events",
        "fixed_at",
        "heart_part",
        "is_beating",
        "missed",
        "moved",
        "online",
        "opening",
        "over",
        "presence",
        "session_key",
        "share",
        "share_id",
        "token",
    )

    def __init__(self, share_id: str, *, token: str, session_key: str) -> None:
        self.share_id = share_id
        self.token = token
        self.session_key = session_key
        self.share: Share | None = None
        self.events: EventStream | None = None
        self.heart_part = 0
        self.is_beating = False
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
        self._waiting: asyncio.Future[None] | None = None

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
        self._wake()

    def beat(self) -> None:
        """It is time for a sign of life."""
        self.is_beating = True
        self._wake()

    def end(self, reason: EndReason | None, *, come_later: bool = False) -> None:
        """From now on nothing of the vehicle goes out; what a slow reader has not taken yet is taken back."""
        if self.over is not None:
            return
        self.over = Over(reason, come_later)
        self.moved = self.presence = None
        self.alerts, self.missed = {}, []
        if self.events is not None:
            self.events.cut_if_sending()
        self._wake()

    # -- told ----------------------------------------------------------------------------------------------------------

    def take_opening(self) -> bytes:
        """Once."""
        opening, self.opening = self.opening, b""
        return opening

    async def wait(self) -> None:
        """Returns when there is something to do."""
        if self.over is None and not (self.is_beating or self.moved or self.presence or self.alerts):
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
