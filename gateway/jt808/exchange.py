"""What do all conversations share: who speaks where, what was counted, where fixes go?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.jt808.deviations import Deviations
from gateway.jt808.limits import Limits
from gateway.jt808.ports import Ingest, Terminals

if TYPE_CHECKING:
    from gateway.jt808.session import Session


class Exchange:
    """One per gateway. The counters are plain fields: the hot path adds to them."""

    __slots__ = (
        "_sessions",
        "acks",
        "bytes_in",
        "bytes_out",
        "deviations",
        "frames",
        "in_flight",
        "ingest",
        "limits",
        "not_stored",
        "now",
        "takeovers",
        "terminals",
        "tick",
    )

    def __init__(self, *, terminals: Terminals, ingest: Ingest, limits: Limits, now: Callable[[], float]) -> None:
        self.terminals = terminals
        self.ingest = ingest
        self.limits = limits
        self.now = now
        self.deviations = Deviations()
        self._sessions: dict[str, Session] = {}
        self.tick = 0.0
        """Real loop time, as of the last sweep: exact enough for time-outs, and free."""
        self.frames = self.acks = self.bytes_in = self.bytes_out = 0
        self.in_flight = self.not_stored = self.takeovers = 0

    def seat(self, session: Session, terminal: str) -> None:
        """``terminal`` speaks through ``session`` from now on; whoever did so before is dead, and closed."""
        old = self._sessions.get(terminal)
        self._sessions[terminal] = session
        if old is not None and old is not session:
            self.takeovers += 1
            old.superseded()

    def unseat(self, session: Session, terminal: str) -> None:
        """``session`` speaks for ``terminal`` no more; nothing happens if another has taken over."""
        if self._sessions.get(terminal) is session:
            del self._sessions[terminal]

    def session_of(self, terminal: str) -> Session | None:
        """Where this terminal speaks, if it does."""
        return self._sessions.get(terminal)

    @property
    def authenticated(self) -> int:
        """How many terminals speak."""
        return len(self._sessions)
