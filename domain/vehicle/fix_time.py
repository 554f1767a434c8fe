"""Decides whose clock is wrong when a live report's time does not agree with ours, or a state lies ahead of now (R50).

Our own clock may be the wrong one. So no acknowledged report is thrown away for its time alone. A report that runs
ahead waits with its terminal's clock. A state dated by a wrong clock gives way to the next right report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from domain.civil_time import CHINA_OFFSET_S
from domain.vehicle.alerts import Alert
from domain.vehicle.fix import FLAG_DOUBTED, Fix
from domain.vehicle.profile import Profile
from domain.vehicle.quality import Outcome, Quality
from domain.vehicle.terminal_clock import RIGHT, TerminalClock, keep_ahead, observe

if TYPE_CHECKING:
    from domain.vehicle.vehicle import Vehicle

TIME_ZONE_TOLERANCE_S: Final = 300
WAITS_S: Final = 3600
"""A quarantined report is taken up by a later one of the same clock that lies at most this far after it."""


def corrected(
    vehicle: Vehicle, fix: Fix, received_at: float, profile: Profile, quality: Quality
) -> tuple[int, Sequence[tuple[Fix, float]]]:
    """Correct a live report's time by its learned clock; return it with the quarantined reports to fold before it.

    A report that came while our own clock was in doubt teaches nothing.
    """
    before = vehicle.terminal_clock or RIGHT
    doubted = bool(fix.flags & FLAG_DOUBTED)
    clock = before if doubted else observe(before, fix.fixed_at, received_at)
    if clock.offset_s and clock.offset_s != before.offset_s:
        quality.corrected_clocks += 1
    fixed_at = fix.fixed_at - clock.offset_s
    waiting: Sequence[tuple[Fix, float]] = ()
    if before.ahead and (doubted or fixed_at - received_at <= profile.future_s):
        waiting = [
            (ahead._replace(flags=ahead.flags | FLAG_DOUBTED), ahead_at)
            for ahead, ahead_at in before.ahead
            if 0 <= fix.fixed_at - ahead.fixed_at <= WAITS_S
        ]
        clock = replace(clock, ahead=())
    _believe(vehicle, clock)
    return fixed_at, waiting


def quarantine(vehicle: Vehicle, fix: Fix, received_at: float, *, ahead_s: float) -> Outcome:
    """Quarantine a report that runs ahead of our clock.

    It moves nothing, and waits until it is known whose clock is wrong.
    """
    _believe(vehicle, keep_ahead(vehicle.terminal_clock or RIGHT, fix, received_at))
    return ahead_of_now(ahead_s)


def ahead_of_now(ahead_s: float) -> Outcome:
    """Name the fault: 8 hours are a time zone."""
    is_zone = abs(ahead_s - CHINA_OFFSET_S) <= TIME_ZONE_TOLERANCE_S
    return Outcome.TIME_ZONE_FAULT if is_zone else Outcome.FUTURE


def give_way(vehicle: Vehicle, fixed_at: int, received_at: float, profile: Profile) -> None:
    """Date a state that lies ahead of now back to before a right report of ``fixed_at``, which is then the newest.

    The state was dated by a clock that was wrong by about as much, so its alerts move with it; none is lost.
    """
    waited_s = int(received_at - vehicle.received_at)
    elapsed_s = waited_s if 0 < waited_s <= profile.data_gap_s else profile.data_gap_s + 1
    wrong_s = vehicle.reported_at - (fixed_at - elapsed_s)
    vehicle.reported_at -= wrong_s
    if vehicle.fixed_at > vehicle.reported_at:
        vehicle.fixed_at = min(vehicle.reported_at, vehicle.fixed_at - wrong_s)
    redated = {
        alert.id: _redated(alert, wrong_s, vehicle.reported_at)
        for alert in (*vehicle.ongoing, *vehicle.recent, *(vehicle.unsaved or {}).values())
        if alert.started_at > vehicle.reported_at or (alert.ended_at or 0) > vehicle.reported_at
    }
    vehicle.ongoing = tuple(redated.get(alert.id, alert) for alert in vehicle.ongoing)
    vehicle.recent = tuple(redated.get(alert.id, alert) for alert in vehicle.recent)
    if redated:
        vehicle.unsaved = {**(vehicle.unsaved or {}), **redated}
    vehicle.suspect = None


def _redated(alert: Alert, wrong_s: int, latest: int) -> Alert:
    started_at = alert.started_at if alert.started_at <= latest else alert.started_at - wrong_s
    if alert.ended_at is None or alert.ended_at <= latest:
        return replace(alert, started_at=started_at)
    return replace(alert, started_at=started_at, ended_at=max(started_at, alert.ended_at - wrong_s))


def _believe(vehicle: Vehicle, clock: TerminalClock) -> None:
    vehicle.terminal_clock = None if clock == RIGHT else clock
