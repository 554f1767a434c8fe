"""By how much is a terminal's clock wrong? Steady whole quarter hours are learned and corrected (R50)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

QUARTER_S: Final = 900
RIGHT_BEHIND_S: Final = -450
"""A live report is late by some minutes on a bad line; half a quarter hour is where a wrong clock begins."""
RIGHT_AHEAD_S: Final = 300
JITTER_S: Final = 90
"""How far around a quarter hour the skew of one wrong clock may lie: the line's delay."""
REPORTS_TO_LEARN: Final = 4
SPAN_TO_LEARN_S: Final = 90.0
"""The reports must come over such a time of ours: a burst of stored reports is no steady clock."""


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


RIGHT: Final = TerminalClock()


def is_right(fixed_at: int, received_at: float) -> bool:
    """Whether a live report's time agrees with ours, as far as a line's delay lets us see."""
    return RIGHT_BEHIND_S < fixed_at - received_at <= RIGHT_AHEAD_S


def observe(clock: TerminalClock, fixed_at: int, received_at: float) -> TerminalClock:
    """What we believe after a live report that says ``fixed_at`` came at ``received_at``; a right clock is believed at once."""
    if is_right(fixed_at, received_at):
        return RIGHT
    skew_s = fixed_at - received_at
    quarter_s = round(skew_s / QUARTER_S) * QUARTER_S
    if abs(skew_s - quarter_s) > JITTER_S:
        return TerminalClock(offset_s=clock.offset_s)
    if quarter_s != clock.candidate_s:
        return TerminalClock(clock.offset_s, quarter_s, 1, received_at, received_at)
    if received_at <= clock.last_received_at:  # One batch is one observation.
        return clock
    reports = clock.reports + 1
    learned = reports >= REPORTS_TO_LEARN and received_at - clock.first_received_at >= SPAN_TO_LEARN_S
    offset_s = quarter_s if learned else clock.offset_s
    return TerminalClock(offset_s, quarter_s, reports, clock.first_received_at, received_at)
