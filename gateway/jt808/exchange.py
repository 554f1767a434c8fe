"""The exchange is what all conversations share: who speaks where, what was counted, where fixes go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from domain.vehicle.fix import Fix
from gateway.jt808.address import Address
from gateway.jt808.deviations import Deviations
from gateway.jt808.limits import Limits
from gateway.jt808.ports import Ingest, Terminals

if TYPE_CHECKING:
    from gateway.jt808.session import Session

ACKNOWLEDGED_AT_ONCE: Final = 256
"""Answers written before the event loop gets its turn: some milliseconds."""


class Owed(NamedTuple):
    """What a terminal gets when the reports that came with one read are durable."""

    session: Session
    address: Address
    acks: Sequence[int]
    """See ``ack_of``."""


class Exchange:
    """One per gateway. The counters are plain fields: the hot path adds to them."""

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
        limits: Limits,
        now: Callable[[], float],
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        """``soon`` calls something back in the event loop's next turn (``loop.call_soon``)."""
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
        """Takes in reports, one ack each; all that come in one turn of the event loop are handed over together."""
        if not self._fixes:
            self._soon(self.hand_over)
        self._fixes += fixes
        self._owed.append(owed)
        self.in_flight += len(fixes)

    def hand_over(self) -> None:
        """Hands over what was taken in so far, so that whatever is submitted next comes after it."""
        if self._fixes:
            fixes, self._fixes = self._fixes, []
            owed, self._owed = self._owed, []
            self.ingest.submit(fixes, partial(self._stored, owed))

    def _stored(self, all_owed: Sequence[Owed], durable: bool) -> None:
        """What could not be stored is not acknowledged: the terminals will send it again."""
        if durable:
            self._acknowledge(all_owed, 0)
        else:
            count = sum(len(owed.acks) for owed in all_owed)
            self.in_flight -= count
            self.not_stored += count

    def _acknowledge(self, all_owed: Sequence[Owed], start: int) -> None:
        """Pays a slice of what is owed, and the rest in the event loop's next turns: every answer is a system call."""
        stop = start + ACKNOWLEDGED_AT_ONCE
        for session, address, acks in all_owed[start:stop]:
            session.acknowledge(address, acks)
            self.in_flight -= len(acks)
        if stop < len(all_owed):
            self._soon(partial(self._acknowledge, all_owed, stop))

    def seat(self, session: Session, terminal: str) -> None:
        """``terminal`` speaks through ``session`` from now on; its seat on another connection is dead, and ended."""
        old = self._sessions.get(terminal)
        self._sessions[terminal] = session
        if old is not None and old is not session:
            self.takeovers += 1
            old.superseded(terminal)

    def unseat(self, session: Session, terminal: str) -> None:
        """``session`` speaks for ``terminal`` no more; nothing happens if another has taken over."""
        if self._sessions.get(terminal) is session:
            del self._sessions[terminal]

    def session_of(self, terminal: str) -> Session | None:
        """Where this terminal speaks, if it does."""
        return self._sessions.get(terminal)

    @property
    def authenticated(self) -> int:
        """How many terminals speak; several may share a connection."""
        return len(self._sessions)
