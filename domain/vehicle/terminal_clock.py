"""A terminal's clock as its live reports show it: an offset of whole hours is learned and corrected (R50)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from domain.vehicle.fix import Fix

HOUR_S: Final = 3600
RIGHT_BEHIND_S: Final = -450
"""The latest that a live report comes on a bad line; a later one says nothing of its clock."""
RIGHT_AHEAD_S: Final = 300
JITTER_S: Final = 90
"""The distance from a whole hour within which the skew of a wrong clock may lie: the line's delay."""
REPORTS_TO_LEARN: Final = 4
SPAN_TO_LEARN_S: Final = 90.0
"""The time of ours over which the reports must come: a burst of stored reports is no steady clock."""
MAX_AHEAD: Final = 8
"""Quarantined reports that a vehicle keeps until it is known whose clock is wrong."""


@dataclass(frozen=True, slots=True)
class TerminalClock:
    """Our belief about a terminal's clock."""

    offset_s: int = 0
    """The terminal's clock minus ours, learned; subtract it."""
    candidate_s: int = 0
    reports: int = 0
    """Live reports in a row that had the candidate's skew."""
    first_received_at: float = 0.0
    last_received_at: float = 0.0
    ahead: tuple[tuple[Fix, float], ...] = ()
    """Reports that ran ahead of our clock, and when each was received: quarantined, not thrown away."""


RIGHT: Final = TerminalClock()


def is_right(fixed_at: int, received_at: float) -> bool:
    """Tell whether a live report's time agrees with ours, as far as a line's delay allows to see."""
    return RIGHT_BEHIND_S < fixed_at - received_at <= RIGHT_AHEAD_S


def observe(clock: TerminalClock, fixed_at: int, received_at: float) -> TerminalClock:
    """Return our belief after a live report of ``fixed_at`` came at ``received_at``.

    A right clock is believed at once.
    """
    if is_right(fixed_at, received_at):
        return RIGHT
    skew_s = fixed_at - received_at
    hours_s = round(skew_s / HOUR_S) * HOUR_S
    if not hours_s or abs(skew_s - hours_s) > JITTER_S:
        return TerminalClock(offset_s=clock.offset_s, ahead=clock.ahead)
    if hours_s != clock.candidate_s:
        return TerminalClock(clock.offset_s, hours_s, 1, received_at, received_at, clock.ahead)
    if received_at <= clock.last_received_at:  # Count a batch as one observation.
        return clock
    reports = clock.reports + 1
    learned = reports >= REPORTS_TO_LEARN and received_at - clock.first_received_at >= SPAN_TO_LEARN_S
    offset_s = hours_s if learned else clock.offset_s
    return TerminalClock(offset_s, hours_s, reports, clock.first_received_at, received_at, clock.ahead)


def keep_ahead(clock: TerminalClock, fix: Fix, received_at: float) -> TerminalClock:
    """Quarantine one more report; the oldest without an alarm gives way, an alarm only to an alarm."""
    ahead = clock.ahead
    if len(ahead) >= MAX_AHEAD:
        out = next((place for place, (waiting, _) in enumerate(ahead) if not waiting.alarms), 0)
        ahead = (*ahead[:out], *ahead[out + 1 :])
    return replace(clock, ahead=(*ahead, (fix, received_at)))
