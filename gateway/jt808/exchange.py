"""The state that all conversations share: the session of each terminal, the counters, and the way to the ingest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from domain.vehicle.fix import Fix
from gateway.jt808.address import Address
from gateway.jt808.deviations import Deviations
from gateway.jt808.limits import TerminalLimits
from gateway.jt808.ports import Ingest, Terminals

if TYPE_CHECKING:
    from gateway.jt808.session import Session

ACKNOWLEDGED_AT_ONCE: Final = 256
"""Answers written before the event loop gets its turn: some milliseconds."""


class Owed(NamedTuple):
    """The acknowledgements that a terminal gets when the reports of one read are durable."""

    session: Session
    address: Address
    acks: Sequence[int]
    """Message marks to acknowledge; see ``ack_of``."""


class Exchange:
    """The gateway's shared state. The counters are plain fields: the hot path adds to them."""

    __slots__ = (
        "_fixes",
        "_owed",
        "_sessions",
        "_soon",
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

    def __init__(
        self,
        *,
        terminals: Terminals,
        ingest: Ingest,
        limits: TerminalLimits,
        now: Callable[[], float],
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        """Prepare the exchange; ``soon`` calls a function in the event loop's next turn (``loop.call_soon``)."""
        self.terminals = terminals
        self.ingest = ingest
        self.limits = limits
        self.now = now
        self._soon = soon
        self.deviations = Deviations()
        self._sessions: dict[str, Session] = {}
        self._fixes: list[Fix] = []
        self._owed: list[Owed] = []
        self.tick = 0.0
        """Real loop time, as of the last sweep: exact enough for time-outs, and free."""
        self.frames = self.acks = self.bytes_in = self.bytes_out = 0
        self.in_flight = self.not_stored = self.takeovers = 0

    def take(self, fixes: Sequence[Fix], owed: Owed) -> None:
        """Take in reports, one ack each; all that come in one turn of the event loop are handed over together."""
        if not self._fixes:
            self._soon(self.hand_over)
        self._fixes += fixes
        self._owed.append(owed)
        self.in_flight += len(fixes)

    def hand_over(self) -> None:
        """Hand over the reports taken in so far, so that the next submission comes after them."""
        if self._fixes:
            fixes, self._fixes = self._fixes, []
            owed, self._owed = self._owed, []
            self.ingest.submit(fixes, partial(self._stored, owed))

    def _stored(self, all_owed: Sequence[Owed], durable: bool) -> None:
        """Acknowledge stored reports only; terminals send the others again."""
        if durable:
            self._acknowledge(all_owed, 0)
        else:
            count = sum(len(owed.acks) for owed in all_owed)
            self.in_flight -= count
            self.not_stored += count

    def _acknowledge(self, all_owed: Sequence[Owed], start: int) -> None:
        """Pay a slice of what is owed, and the rest in the event loop's next turns: every answer is a system call."""
        stop = start + ACKNOWLEDGED_AT_ONCE
        for session, address, acks in all_owed[start:stop]:
            session.acknowledge(address, acks)
            self.in_flight -= len(acks)
        if stop < len(all_owed):
            self._soon(partial(self._acknowledge, all_owed, stop))

    def seat(self, session: Session, terminal: str) -> None:
        """Seat ``terminal`` in ``session`` from now on; end its seat on another connection, which is dead."""
        old = self._sessions.get(terminal)
        self._sessions[terminal] = session
        if old is not None and old is not session:
            self.takeovers += 1
            old.superseded(terminal)

    def unseat(self, session: Session, terminal: str) -> None:
        """Take ``terminal`` from ``session``; do nothing if another session has taken over."""
        if self._sessions.get(terminal) is session:
            del self._sessions[terminal]

    def session_of(self, terminal: str) -> Session | None:
        """Return the session through which this terminal speaks, None without one."""
        return self._sessions.get(terminal)

    @property
    def authenticated(self) -> int:
        """Return the number of terminals that speak; several may share a connection."""
        return len(self._sessions)
