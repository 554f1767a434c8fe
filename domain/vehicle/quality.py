"""The quality figures that provincial supervision asks of platforms, from the same fold as the rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Outcome(IntEnum):
    """The outcome of a report (R50); the feed's words for it are in ``gateway.feed``."""

    NEWEST = 0
    """The report is the vehicle's newest fix now."""
    BACKFILLED = 1
    STALE = 2
    """The report is a duplicate, or older than the newest."""
    FUTURE = 3
    TIME_ZONE_FAULT = 4
    NOT_POSITIONED = 5
    IMPLAUSIBLE = 6
    BAD_TIME = 7
    """The report has a time that no clock could show."""
    QUEUED = 8
    """The report is durable, but the vehicle is busy: the fix waits in its mailbox."""
    UNKNOWN = 9
    """The report is of a terminal that no vehicle has any longer."""


@dataclass(slots=True)
class Quality:
    """Counters of one process since it started; the fold adds, ``/health`` reads."""

    outcomes: list[int] = field(default_factory=lambda: [0] * len(Outcome))
    distance_m: float = 0.0
    """Driven by all vehicles, gaps included."""
    gap_distance_m: float = 0.0
    """Metres of ``distance_m`` that no fixes cover."""
    drifting_vehicles: set[str] = field(default_factory=set)
    """Vehicles that reported an impossible jump, today."""
    drift_day: int = 0
    corrected_clocks: int = 0
    implausible_alarm_words: int = 0
    speeding_at_standstill: int = 0
    alerts_begun: int = 0

    def note_drift(self, vehicle_key: str, day: int) -> None:
        if day > self.drift_day:
            self.drift_day = day
            self.drifting_vehicles.clear()
        self.drifting_vehicles.add(vehicle_key)

    @property
    def valid_fix_rate(self) -> float | None:
        """Return the share of reports with a usable position and time, duplicates left out; None before the first."""
        counts = self.outcomes
        good = counts[Outcome.NEWEST] + counts[Outcome.BACKFILLED] + counts[Outcome.QUEUED]
        bad = sum(
            counts[outcome]
            for outcome in (
                Outcome.FUTURE,
                Outcome.TIME_ZONE_FAULT,
                Outcome.NOT_POSITIONED,
                Outcome.IMPLAUSIBLE,
                Outcome.BAD_TIME,
            )
        )
        return good / (good + bad) if good + bad else None

    @property
    def track_completeness(self) -> float | None:
        """Return the share of distance covered by fixes close enough to follow; None before any vehicle moved."""
        return 1 - self.gap_distance_m / self.distance_m if self.distance_m else None

    def drift_rate(self, vehicles_online: int) -> float | None:
        """Return the share of online vehicles with an impossible jump today (of drifting ones, if they are more)."""
        drifting = len(self.drifting_vehicles)
        return drifting / max(vehicles_online, drifting) if vehicles_online or drifting else None
