"""A terminal's clock as its live reports show it: an offset of whole hours is learned and corrected (R50)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from domain.vehicle.fix import Fix

HOUR_S: Final = 3600
RIGHT_BEHIND_S: Final = -450
"""A live report is late by some minutes on a bad line; a report later than this says nothing for its clock."""
RIGHT_AHEAD_S: Final = 300
JITTER_S: Final = 90
"""How far around a whole hour the skew of one wrong clock may lie: the line's delay."""
REPORTS_TO_LEARN: Final = 4
SPAN_TO_LEARN_S: Final = 90.0
"""The reports must come over such a time of ours: a burst of stored reports is no steady clock."""
MAX_AHEAD: Final = 8
"""Quarantined reports that a vehicle keeps until it is known whose clock is wrong."""


@dataclass(frozen=True, slots=True)
class TerminalClock:
    """What we believe of one terminal's clock."""

    offset_s: int = 0
    """Its clock minus ours, learned; subtract it."""
    candidate_s: int = 0
    reports: int = 0
    """How many live reports in a row had the candidate's skew."""
    first_received_at: float = 0.0
    last_received_at: float = 0.0
    ahead: tuple[tuple[Fix, float], ...] = ()
    """Reports that ran ahead of our clock, and when each was received: quarantined, not thrown away."""


RIGHT: Final = TerminalClock()


def is_right(fixed_at: int, received_at: float) -> bool:
    """Whether a live report's time agrees with ours, as far as a line's delay lets us see."""
    return RIGHT_BEHIND_S < fixed_at - received_at <= RIGHT_AHEAD_S


def observe(clock: TerminalClock, fixed_at: int, received_at: float) -> TerminalClock:
    """What we believe after a live report that says ``fixed_at`` came at ``received_at``; a right clock is believed at once."""
    if is_right(fixed_at, received_at):
        return RIGHT
    skew_s = fixed_at - received_at
    hours_s = round(skew_s / HOUR_S) * HOUR_S
    if not hours_s or abs(skew_s - hours_s) > JITTER_S:
        return TerminalClock(offset_s=clock.offset_s, ahead=clock.ahead)
    if hours_s != clock.candidate_s:
        return TerminalClock(clock.offset_s, hours_s, 1, received_at, received_at, clock.ahead)
    if received_at <= clock.last_received_at:  # One batch is one observation.
        return clock
    reports = clock.reports + 1
    learned = reports >= REPORTS_TO_LEARN and received_at - clock.first_received_at >= SPAN_TO_LEARN_S
    offset_s = hours_s if learned else clock.offset_s
    return TerminalClock(offset_s, hours_s, reports, clock.first_received_at, received_at, clock.ahead)


def keep_ahead(clock: TerminalClock, fix: Fix, received_at: float) -> TerminalClock:
    """Quarantines one more report; the oldest without an alarm gives way, an alarm only to an alarm."""
    ahead = clock.ahead
    if len(ahead) >= MAX_AHEAD:
        out = next((place for place, (waiting, _) in enumerate(ahead) if not waiting.alarms), 0)
        ahead = (*ahead[:out], *ahead[out + 1 :])
    return replace(clock, ahead=(*ahead, (fix, received_at)))
