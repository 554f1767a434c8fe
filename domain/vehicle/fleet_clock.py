"""Judges our own clock by the fleet's live reports (R50): one terminal may be wrong, a tenth of the fleet at once is
not.

Reports that came while our clock was in doubt are marked before they are logged (``FLAG_DOUBTED``). So reading the log
again decides as the live fold did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal

from domain.vehicle.fix import FLAG_BACKFILLED, FLAG_DOUBTED, Fix
from domain.vehicle.terminal_clock import is_right

GRAIN_S: Final = 300
"""The size of a grain: offsets are told apart to five minutes, and whole hours lie in the middle of a grain."""
SHARE: Final = 10
"""The part of the fleet, one in this many, that must show an offset for it to be ours."""
FEWEST: Final = 2
"""The fewest vehicles that say anything of us: one alone does not, however small the fleet."""
SHOWN_FOR_S: Final = 600.0
MAX_SHOWING: Final = 100_000
QUORUM: Final = 3
"""Vehicles that must agree with the machine's clock before a step of it is believed."""


class FleetClock:
    """Marks reports, and counts what they say; a process has one for all its vehicles."""

    def __init__(self) -> None:
        self._showing: dict[str, tuple[int, float]] = {}
        """Maps a terminal to the offset that it showed last and when that came; the latest last."""
        self._count: Counter[int] = Counter()
        """Counts the terminals that show each offset."""
        self._for_machine: dict[str, bool] = {}
        """Maps each terminal heard since the last step to whether it agrees with the machine's clock, or with ours."""

    def mark(self, fixes: Sequence[Fix], received_at: float, *, machine_ahead_s: float, online: int) -> Sequence[Fix]:
        """Return the fixes, marked where their time can't be judged. ``machine_ahead_s`` is 0 while our clock is
        settled.

        ``online`` is the number of vehicles online.
        """
        if not self._showing and not machine_ahead_s:
            times = [fix[1] for fix in fixes]
            if not times or (is_right(min(times), received_at) and is_right(max(times), received_at)):
                return fixes
        self._forget(received_at)
        for fix in (each for each in fixes if not each.flags & FLAG_BACKFILLED):
            if machine_ahead_s:
                self._vote(fix, received_at, machine_ahead_s)
            else:
                self._note(fix, received_at)
        return [
            fix._replace(flags=fix.flags | FLAG_DOUBTED)
            if self._is_doubted(fix, received_at, machine_ahead_s, online)
            else fix
            for fix in fixes
        ]

    def ahead_s(self, online: int) -> int | None:
        """Return how far terminals are ahead of our clock, to five minutes; None unless enough of them agree."""
        return next((offset_s for offset_s, _ in self._count.most_common(1) if self._is_ours(offset_s, online)), None)

    @property
    def says(self) -> Literal["machine", "ours", None]:
        """Tell which clock is right after a step, by the terminals heard since; None while too few were."""
        for_machine = sum(self._for_machine.values())
        if for_machine >= QUORUM and for_machine * 2 > len(self._for_machine):
            return "machine"
        return "ours" if self._for_machine and for_machine * 2 <= len(self._for_machine) else None

    def begin_vote(self) -> None:
        """Begin a vote: the machine's clock has just been moved."""
        self._for_machine.clear()

    def begin_anew(self) -> None:
        """Forget what was shown before: our clock follows the machine's now."""
        self._for_machine.clear()
        self._showing.clear()
        self._count.clear()

    def _is_doubted(self, fix: Fix, received_at: float, machine_ahead_s: float, online: int) -> bool:
        if fix.flags & FLAG_BACKFILLED or is_right(fix.fixed_at, received_at):
            return False
        return bool(machine_ahead_s) or self._is_ours(_grain(fix, received_at), online)

    def _vote(self, fix: Fix, received_at: float, machine_ahead_s: float) -> None:
        """Vote for the nearer clock, if either can be meant.

        After a small step both may agree, within a line's delay.
        """
        by_machine = received_at + machine_ahead_s
        if is_right(fix.fixed_at, received_at) or is_right(fix.fixed_at, by_machine):
            self._for_machine[fix.terminal] = abs(fix.fixed_at - by_machine) < abs(fix.fixed_at - received_at)

    def _note(self, fix: Fix, received_at: float) -> None:
        """Note the offset that a terminal shows, if any."""
        if fix.terminal in self._showing:
            self._drop(fix.terminal)
        if is_right(fix.fixed_at, received_at):
            return
        if len(self._showing) >= MAX_SHOWING:
            self._drop(next(iter(self._showing)))
        offset_s = _grain(fix, received_at)
        self._showing[fix.terminal] = offset_s, received_at
        self._count[offset_s] += 1

    def _is_ours(self, offset_s: int, online: int) -> bool:
        showing = self._count[offset_s]
        return showing >= FEWEST and showing * SHARE >= online

    def _forget(self, received_at: float) -> None:
        while self._showing and self._showing[oldest := next(iter(self._showing))][1] <= received_at - SHOWN_FOR_S:
            self._drop(oldest)

    def _drop(self, terminal: str) -> None:
        offset_s, _ = self._showing.pop(terminal)
        self._count[offset_s] -= 1
        if not self._count[offset_s]:
            del self._count[offset_s]


def _grain(fix: Fix, received_at: float) -> int:
    return round((fix.fixed_at - received_at) / GRAIN_S) * GRAIN_S
