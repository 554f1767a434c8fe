"""What does a vehicle know, and what does one more report change? (R32, R34, R50, R52)

``accept`` is the hot path of the whole system. A vehicle is therefore one mutable object, against the habit of this
house, and ``accept`` first computes everything that could throw and then assigns, so that a failure leaves it whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, TypeVar

from domain import alarm_bits as bits
from domain.alerts import TERMINAL_KINDS, Alert, Source, alert_id, conditions, is_plausible
from domain.driving import civil_day, fatigue_kind, stint_after
from domain.fix import FLAG_BACKFILLED, FLAG_DOUBTED, STATUS_ACC_ON, STATUS_POSITIONED, Fix, distance_m
from domain.profile import Profile
from domain.quality import Outcome, Quality
from domain.terminal_clock import TerminalClock, is_right
from domain.vehicle_time import ahead_of_now, corrected, give_way, quarantine

RECENT_ALERTS: Final = 10
"""Ended alerts that a vehicle keeps at hand; the store has them all."""
BACKFILL_MEMORY: Final = 512
"""Times of back-filled fixes remembered to tell duplicates."""
MAX_LON_E6: Final = 180_000_000
MAX_LAT_E6: Final = 90_000_000

Number = TypeVar("Number", int, float)


@lru_cache(maxsize=4_096, typed=True)
def shared(number: Number) -> Number:
    """The same object for the same number, where many vehicles hold it long (a day, a limit): it would weigh on each."""
    return number


@dataclass(slots=True)
class Vehicle:
    """One vehicle's live state, folded from its reports in order; times are Unix seconds by its corrected clock."""

    key: str
    limit_dkmh: int = 1000
    newest: Fix | None = None
    """The newest accepted live fix, as sent."""
    fixed_at: int = 0
    """Its time, the terminal's clock corrected."""
    received_at: float = 0.0
    reported_at: int = 0
    """Time of the newest live report whose alarms we know, positioned or not."""
    terminal_clock: TerminalClock | None = None
    """None: right, as almost all are."""
    computes_speeding: bool = False
    """The terminal has shown that it tells speeding itself, so the platform's rule stays silent (R52)."""
    latched: int = 0
    held: int = 0
    """Alarm bits that held in the newest report."""
    driving_s: int = 0
    rest_s: int = 0
    day: int = 0
    day_distance_m: float = 0.0
    day_driving_s: int = 0
    day_longest_s: int = 0
    day_alerts: int = 0
    ongoing: tuple[Alert, ...] = ()
    recent: tuple[Alert, ...] = ()
    """Ended, newest first."""
    suspect: Suspect | None = None
    backfilled: dict[int, None] | None = None
    applied: int = 0
    """Number of the log entry folded last."""
    unsaved: dict[str, Alert] | None = None
    """Alerts that changed and are not in the store yet, by id; not part of the stored state."""


class Suspect(NamedTuple):
    """A fix that no truck could have driven to, and how many since agree with it."""

    fix: Fix
    fixed_at: int
    agreeing: int


class Seen(Protocol):
    """When a vehicle's newest fix was made, by its corrected clock, and when it came."""

    @property
    def fixed_at(self) -> int: ...

    @property
    def received_at(self) -> float: ...


class DrivingToday(NamedTuple):
    """The summary of one Asia/Shanghai day."""

    distance_m: float
    driving_s: int
    longest_stint_s: int
    alert_count: int


def is_online(vehicle: Vehicle, now: float, profile: Profile) -> bool:
    """R32: from the time of the newest accepted live fix, computed at the moment of the question."""
    return vehicle.newest is not None and now - heard_at(vehicle, profile) < profile.offline_after_s


def heard_at(seen: Seen, profile: Profile) -> float:
    """The time from which R32's ten minutes run: the newest fix's, or of one that ran ahead of our clock, its receipt."""
    ran_ahead = seen.fixed_at - seen.received_at > profile.future_s
    return seen.received_at if ran_ahead else seen.fixed_at


def driving_today(vehicle: Vehicle, now: float) -> DrivingToday:
    """What it has driven since midnight in Shanghai."""
    if vehicle.day != civil_day(now):
        return DrivingToday(0.0, 0, 0, 0)
    return DrivingToday(vehicle.day_distance_m, vehicle.day_driving_s, vehicle.day_longest_s, vehicle.day_alerts)


def alerts_of(vehicle: Vehicle) -> tuple[Alert, ...]:
    """Ongoing and recently ended alerts, and all that the store does not have yet, newest first."""
    if vehicle.ongoing == vehicle.recent == () and not vehicle.unsaved:
        return ()
    alerts = {alert.id: alert for alert in (*vehicle.recent, *(vehicle.unsaved or {}).values(), *vehicle.ongoing)}
    return tuple(sorted(alerts.values(), key=lambda alert: (alert.started_at, alert.id), reverse=True))


def accept(vehicle: Vehicle, fix: Fix, received_at: float, profile: Profile, quality: Quality) -> Outcome:
    """Takes in ``fix``, received at ``received_at`` (Unix seconds).

    An older fix than the newest we hold moves nothing and raises nothing (R50); what a fix adds to driving and alerts
    is judged by earlier fixes only, so replaying the log in order gives the same vehicle.
    """
    if fix.flags & FLAG_BACKFILLED:
        return _keep_backfill(vehicle, fix, received_at, profile)
    fixed_at = fix.fixed_at
    if vehicle.terminal_clock is not None or not is_right(fixed_at, received_at):
        if fixed_at <= 0:
            return Outcome.BAD_TIME
        fixed_at, waiting = corrected(vehicle, fix, received_at, profile, quality)
        for ahead, ahead_at in waiting:
            accept(vehicle, ahead, ahead_at, profile, quality)
        if fixed_at - received_at > profile.future_s and not fix.flags & FLAG_DOUBTED:
            return quarantine(vehicle, fix, received_at, ahead_s=fixed_at - received_at)
    if fixed_at <= vehicle.reported_at:
        _give_way(vehicle, fixed_at, received_at, profile)
    elapsed_s = fixed_at - vehicle.fixed_at
    if elapsed_s <= 0:
        return _late(vehicle, fix, fixed_at, profile, quality)
    problem = position_problem(fix)
    if problem is not None:
        return _without_position(vehicle, fix, fixed_at, problem, profile, quality)

    newest = vehicle.newest
    if newest is None:
        driving_s, rest_s, drove_s, moved_m = vehicle.driving_s, vehicle.rest_s, 0, 0.0
    else:
        moved_m = distance_m(newest.lon_e6, newest.lat_e6, fix.lon_e6, fix.lat_e6)
        if moved_m > profile.jump_m + profile.jump_mps * elapsed_s:
            if not _reanchors(vehicle, fix, fixed_at, profile, quality):
                return _without_position(vehicle, fix, fixed_at, Outcome.IMPLAUSIBLE, profile, quality)
            moved_m = 0.0
        driving_s, rest_s, drove_s = _drive(vehicle, newest, fix, elapsed_s, moved_m, profile, quality)

    # Most reports touch no alert at all; these five conditions are all that could.
    if (
        fix.alarms
        or vehicle.held
        or vehicle.ongoing
        or driving_s > profile.fatigue_warning_s
        or fix.speed_dkmh > vehicle.limit_dkmh
    ):
        _judge(vehicle, fix, fixed_at, driving_s, profile, quality)

    day = (fixed_at + 28_800) // 86_400
    if day != vehicle.day:
        _begin_day(vehicle, day)
    if drove_s or elapsed_s > profile.data_gap_s:
        vehicle.day_distance_m += moved_m
        vehicle.day_driving_s += drove_s
    if driving_s > vehicle.day_longest_s:
        vehicle.day_longest_s = driving_s
    vehicle.driving_s = driving_s
    vehicle.rest_s = rest_s
    vehicle.newest = fix
    vehicle.fixed_at = fixed_at
    vehicle.received_at = received_at
    vehicle.suspect = None
    if fixed_at > vehicle.reported_at:
        vehicle.reported_at = fixed_at
    return Outcome.NEWEST


def position_problem(fix: Fix) -> Outcome | None:
    """Why this fix shows no place (R50), if so: not positioned, (0,0), or off the globe."""
    lon_e6, lat_e6 = fix.lon_e6, fix.lat_e6
    if not fix.status & STATUS_POSITIONED or not (lon_e6 or lat_e6):
        return Outcome.NOT_POSITIONED
    if -MAX_LON_E6 <= lon_e6 <= MAX_LON_E6 and -MAX_LAT_E6 <= lat_e6 <= MAX_LAT_E6:
        return None
    return Outcome.IMPLAUSIBLE


# -- time -----------------------------------------------------------------------------------------------------------


def _give_way(vehicle: Vehicle, fixed_at: int, received_at: float, profile: Profile) -> None:
    """R50: a state that lies ahead of now was dated by a wrong clock; a right report puts it in its place."""
    if vehicle.reported_at - received_at > profile.future_s and is_right(fixed_at, received_at):
        give_way(vehicle, fixed_at, received_at, profile)
        day = civil_day(fixed_at)
        if vehicle.day > day:
            _begin_day(vehicle, day)


def _keep_backfill(vehicle: Vehicle, fix: Fix, received_at: float, profile: Profile) -> Outcome:
    """A stored report sent late: it stands in the log, and moves nothing."""
    clock = vehicle.terminal_clock
    fixed_at = fix.fixed_at - (clock.offset_s if clock is not None else 0)
    if fixed_at <= 0:
        return Outcome.BAD_TIME
    if fixed_at - received_at > profile.future_s:
        return ahead_of_now(fixed_at - received_at)
    problem = position_problem(fix)
    if problem is not None:
        return problem
    seen = vehicle.backfilled if vehicle.backfilled is not None else {}
    if fixed_at in seen or (vehicle.newest is not None and fixed_at == vehicle.fixed_at):
        return Outcome.STALE
    if len(seen) >= BACKFILL_MEMORY:
        del seen[next(iter(seen))]
    seen[fixed_at] = None
    vehicle.backfilled = seen
    return Outcome.BACKFILLED


def _late(vehicle: Vehicle, fix: Fix, fixed_at: int, profile: Profile, quality: Quality) -> Outcome:
    """Not newer than the newest. A second report of the same second may still bring an alarm, and is no duplicate then."""
    newest = vehicle.newest
    if newest is None or fixed_at != vehicle.fixed_at or not fix.alarms & ~(newest.alarms | vehicle.held):
        return Outcome.STALE
    ended = (fix.alarms >> bits.LATCH_SHIFT) & bits.CAMERA & ~fix.alarms
    more = fix._replace(alarms=fix.alarms | vehicle.held & ~ended)
    _judge(vehicle, more, fixed_at, vehicle.driving_s, profile, quality, platform_rules=False)
    return Outcome.NEWEST


# -- place ----------------------------------------------------------------------------------------------------------


def _without_position(
    vehicle: Vehicle, fix: Fix, fixed_at: int, problem: Outcome, profile: Profile, quality: Quality
) -> Outcome:
    """The place is no good; the alarms of the newest report are (an alert then carries the last known place)."""
    if fixed_at > vehicle.reported_at:
        if fix.alarms or vehicle.held:
            _judge(vehicle, fix, fixed_at, vehicle.driving_s, profile, quality, platform_rules=False)
        vehicle.reported_at = fixed_at
    return problem


def _reanchors(vehicle: Vehicle, fix: Fix, fixed_at: int, profile: Profile, quality: Quality) -> bool:
    """Whether so many impossible fixes agree among themselves by now that the fix before them was the wrong one."""
    suspect, agreeing = vehicle.suspect, 1
    if suspect is not None and fixed_at > suspect.fixed_at:
        moved_m = distance_m(suspect.fix.lon_e6, suspect.fix.lat_e6, fix.lon_e6, fix.lat_e6)
        if moved_m <= profile.jump_m + profile.jump_mps * (fixed_at - suspect.fixed_at):
            agreeing = suspect.agreeing + 1
    if agreeing >= profile.jump_agreement:
        return True
    quality.note_drift(vehicle.key, civil_day(fixed_at))
    vehicle.suspect = Suspect(fix, fixed_at, agreeing)
    return False


# -- driving --------------------------------------------------------------------------------------------------------


def _drive(
    vehicle: Vehicle, newest: Fix, fix: Fix, elapsed_s: int, moved_m: float, profile: Profile, quality: Quality
) -> tuple[int, int, int]:
    """The stint's driving and rest seconds after this fix, and how much of the time since the newest was driving."""
    moving = newest.speed_dkmh >= profile.moving_dkmh
    if elapsed_s <= profile.data_gap_s:
        if moving:
            quality.distance_m += moved_m
    elif not moving and _was_parked(newest, fix, moved_m, profile):
        pass
    else:
        quality.distance_m += moved_m
        quality.gap_distance_m += moved_m
        return vehicle.driving_s, vehicle.rest_s, 0
    driving_s, rest_s = stint_after(
        vehicle.driving_s, vehicle.rest_s, interval_s=elapsed_s, moving=moving, profile=profile
    )
    return driving_s, rest_s, elapsed_s if moving else 0


def _was_parked(newest: Fix, fix: Fix, moved_m: float, profile: Profile) -> bool:
    """A sleeping terminal: engine off when it fell silent, and it wakes standing at the same place."""
    return (
        not newest.status & STATUS_ACC_ON
        and fix.speed_dkmh < profile.moving_dkmh
        and moved_m <= profile.parked_within_m
    )


def _begin_day(vehicle: Vehicle, day: int) -> None:
    vehicle.day = shared(day)
    vehicle.day_distance_m = 0.0
    vehicle.day_driving_s = vehicle.day_longest_s = 0
    vehicle.day_alerts = 0


# -- alerts ---------------------------------------------------------------------------------------------------------


def _judge(
    vehicle: Vehicle,
    fix: Fix,
    fixed_at: int,
    driving_s: int,
    profile: Profile,
    quality: Quality,
    *,
    platform_rules: bool = True,
) -> None:
    """Opens, continues and ends alerts after one report; called before the report becomes the newest."""
    episodes = _Episodes(vehicle, fix, fixed_at)
    if fixed_at > vehicle.reported_at or not platform_rules:
        _judge_terminal(vehicle, fix, episodes, quality)
    if platform_rules:
        _judge_speed(vehicle, fix, fixed_at, profile, episodes)
        _judge_fatigue(driving_s, profile, episodes)
    quality.alerts_begun += episodes.settle()


def _judge_terminal(vehicle: Vehicle, fix: Fix, episodes: _Episodes, quality: Quality) -> None:
    if not is_plausible(fix.alarms):
        quality.implausible_alarm_words += 1
        return
    if fix.alarms & bits.SPEEDING and not fix.speed_dkmh:
        quality.speeding_at_standstill += 1
    if fix.alarms & (bits.SPEEDING | bits.SPEEDING_WARNING):
        vehicle.computes_speeding = True
    held, latched = conditions(fix.alarms, fix.speed_dkmh, vehicle.latched)
    if held or vehicle.held:
        for kind, mask in TERMINAL_KINDS:
            if held & mask:
                episodes.holds(kind, "terminal")
            elif vehicle.held & mask:
                episodes.ends(kind, "terminal")
    vehicle.held, vehicle.latched = held, latched


def _judge_speed(vehicle: Vehicle, fix: Fix, fixed_at: int, profile: Profile, episodes: _Episodes) -> None:
    """R52: above the limit on two fixes in a row, for a terminal that does not tell by itself."""
    newest, limit_dkmh = vehicle.newest, vehicle.limit_dkmh
    if fix.speed_dkmh <= limit_dkmh or vehicle.computes_speeding:
        episodes.ends("speeding", "platform")
    elif episodes.is_open("speeding", "platform"):
        episodes.holds("speeding", "platform")
    elif (
        newest is not None and newest.speed_dkmh > limit_dkmh and fixed_at - vehicle.fixed_at < profile.offline_after_s
    ):
        episodes.holds("speeding", "platform", since=newest, since_at=vehicle.fixed_at)


def _judge_fatigue(driving_s: int, profile: Profile, episodes: _Episodes) -> None:
    suspected = fatigue_kind(driving_s, profile)
    for kind in ("fatigue_warning", "fatigue"):
        if kind == suspected:
            episodes.holds(kind, "platform")
        else:
            episodes.ends(kind, "platform")


class _Episodes:
    """The alerts of a vehicle while one report is judged; ``settle`` writes them back."""

    def __init__(self, vehicle: Vehicle, fix: Fix, fixed_at: int) -> None:
        self._vehicle = vehicle
        self._fix = fix
        self._fixed_at = fixed_at
        self._open = {(alert.kind, alert.source): alert for alert in vehicle.ongoing}
        self._changed: list[Alert] = []

    def is_open(self, kind: str, source: Source) -> bool:
        return (kind, source) in self._open

    def holds(self, kind: str, source: Source, *, since: Fix | None = None, since_at: int = 0) -> None:
        """The condition holds in this report: a new alert begins (``since`` an earlier fix), or the one goes on."""
        alert = self._open.get((kind, source))
        if alert is None:
            alert = self._begin(kind, source, since or self._fix, since_at if since else self._fixed_at)
        peak_dkmh = max(alert.peak_dkmh, self._fix.speed_dkmh)
        if peak_dkmh != alert.peak_dkmh:
            alert = replace(alert, peak_dkmh=peak_dkmh)
        if alert is not self._open.get((kind, source)):
            self._open[kind, source] = alert
            self._changed.append(alert)

    def ends(self, kind: str, source: Source) -> None:
        alert = self._open.pop((kind, source), None)
        if alert is not None:
            self._changed.append(replace(alert, ended_at=self._fixed_at))

    def _begin(self, kind: str, source: Source, fix: Fix, at: int) -> Alert:
        place = fix if position_problem(fix) is None else self._vehicle.newest
        is_speeding = kind.startswith("speeding")
        return Alert(
            id=alert_id(self._vehicle.key, kind, source, at),
            kind=kind,
            source=source,
            started_at=at,
            ended_at=None,
            lon_e6=place.lon_e6 if place else None,
            lat_e6=place.lat_e6 if place else None,
            speed_dkmh=fix.speed_dkmh,
            peak_dkmh=fix.speed_dkmh,
            limit_kmh=self._vehicle.limit_dkmh // 10 if is_speeding else None,
        )

    def settle(self) -> int:
        """How many alerts have begun."""
        if not self._changed:
            return 0
        vehicle = self._vehicle
        known = {alert.id for alert in vehicle.ongoing}
        begun = len({alert.id for alert in self._changed} - known)
        ended = tuple(alert for alert in reversed(self._changed) if not alert.ongoing)
        unsaved = vehicle.unsaved if vehicle.unsaved is not None else {}
        unsaved.update((alert.id, alert) for alert in self._changed)
        day = civil_day(self._fixed_at)
        if day != vehicle.day:
            _begin_day(vehicle, day)
        vehicle.day_alerts += begun
        vehicle.ongoing = tuple(self._open.values())
        vehicle.recent = (ended + vehicle.recent)[:RECENT_ALERTS]
        vehicle.unsaved = unsaved
        return begun
