"""A vehicle's live state, and what one more report changes in it (R32, R34, R50, R52).

``accept`` is the hot path of the whole system. A vehicle is therefore one mutable object, against the habit of this
house. ``accept`` first computes everything that could throw and then assigns, so a failure leaves the vehicle whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, TypeVar

from domain.civil_time import CHINA_OFFSET_S, civil_day, midnight_of
from domain.vehicle import alarm_bits as bits
from domain.vehicle.alerts import TERMINAL_KINDS, Alert, Source, alert_id, conditions, is_plausible
from domain.vehicle.driving import fatigue_kind, stint_after
from domain.vehicle.fix import FLAG_BACKFILLED, FLAG_DOUBTED, STATUS_POSITIONED, Fix, distance_m
from domain.vehicle.fix_time import ahead_of_now, corrected, give_way, quarantine
from domain.vehicle.profile import Profile
from domain.vehicle.quality import Outcome, Quality
from domain.vehicle.terminal_clock import TerminalClock, is_right

RECENT_ALERTS: Final = 10
"""Ended alerts that a vehicle keeps at hand; the store has them all."""
BACKFILL_MEMORY: Final = 512
"""Times of back-filled fixes remembered to tell duplicates."""
MAX_LON_E6: Final = 180_000_000
MAX_LAT_E6: Final = 90_000_000

Number = TypeVar("Number", int, float)


@lru_cache(maxsize=4_096, typed=True)
def shared(number: Number) -> Number:
    """Return one shared object for a number that many vehicles hold long (a day, a limit), to save memory."""
    return number


@dataclass(slots=True)
class Vehicle:
    """A vehicle's live state, folded from its reports in order; times are Unix seconds by its corrected clock."""

    key: str
    limit_dkmh: int = 1000
    newest: Fix | None = None
    """The newest accepted live fix, as sent."""
    fixed_at: int = 0
    """The newest fix's time, the terminal's clock corrected."""
    received_at: float = 0.0
    reported_at: int = 0
    """Time of the newest live report whose alarms we know, positioned or not."""
    terminal_clock: TerminalClock | None = None
    """The terminal's clock; None: right, as almost all are."""
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
    """Ended alerts, newest first."""
    suspect: Suspect | None = None
    backfilled: dict[int, None] | None = None
    applied: int = 0
    """Number of the log entry folded last."""
    unsaved: dict[str, Alert] | None = None
    """Alerts that changed and are not in the store yet, by id; not part of the stored state."""


class Suspect(NamedTuple):
    """A fix that no truck could have driven to, and how many fixes since agree with it."""

    fix: Fix
    fixed_at: int
    agreeing: int


class Seen(Protocol):
    """The times of a vehicle's newest fix: when it was made, by its corrected clock, and when it came."""

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
    """Tell whether the vehicle is online (R32), by the newest accepted live fix, computed when asked."""
    return vehicle.newest is not None and now - heard_at(vehicle, profile) < profile.offline_after_s


def heard_at(seen: Seen, profile: Profile) -> float:
    """Return the start of R32's ten minutes: the newest fix's time, or its receipt if it ran ahead of our clock."""
    ran_ahead = seen.fixed_at - seen.received_at > profile.future_s
    return seen.received_at if ran_ahead else seen.fixed_at


def driving_today(vehicle: Vehicle, now: float) -> DrivingToday:
    """Return the distance, driving and alerts since midnight in Shanghai, up to the newest fix."""
    if vehicle.day != civil_day(now):
        return DrivingToday(0.0, 0, 0, 0)
    return DrivingToday(vehicle.day_distance_m, vehicle.day_driving_s, vehicle.day_longest_s, vehicle.day_alerts)


def alerts_of(vehicle: Vehicle, *, online: bool) -> tuple[Alert, ...]:
    """Return ongoing and recently ended alerts, and all that the store does not have yet, newest first.

    R52: what the platform inferred has ended at the newest fix once the vehicle is offline. The state itself keeps such
    an alert open, so that it does not depend on timers. A late report that shows it still belongs to the same episode.
    """
    if vehicle.ongoing == vehicle.recent == () and not vehicle.unsaved:
        return ()
    ongoing = vehicle.ongoing if online else (_as_of_silence(alert, vehicle.fixed_at) for alert in vehicle.ongoing)
    alerts = {alert.id: alert for alert in (*vehicle.recent, *(vehicle.unsaved or {}).values(), *ongoing)}
    return tuple(sorted(alerts.values(), key=lambda alert: (alert.started_at, alert.id), reverse=True))


def is_alerting(vehicle: Vehicle, *, online: bool) -> bool:
    """Tell whether any alert goes on."""
    ongoing = vehicle.ongoing
    return bool(ongoing) and (online or any(alert.source == "terminal" for alert in ongoing))


def _as_of_silence(alert: Alert, fixed_at: int) -> Alert:
    return replace(alert, ended_at=fixed_at) if alert.source == "platform" else alert


def accept(vehicle: Vehicle, fix: Fix, received_at: float, profile: Profile, quality: Quality) -> Outcome:
    """Take in ``fix``, received at ``received_at`` (Unix seconds).

    An older fix than the newest we hold moves nothing and raises nothing (R50). What a fix adds to driving and alerts
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
        driving_s, rest_s, drove_s, driven_m = vehicle.driving_s, vehicle.rest_s, 0, 0.0
    else:
        moved_m = distance_m(newest.lon_e6, newest.lat_e6, fix.lon_e6, fix.lat_e6)
        if moved_m > profile.jump_m + profile.jump_mps * elapsed_s:
            if not _reanchors(vehicle, fix, fixed_at, profile, quality):
                return _without_position(vehicle, fix, fixed_at, Outcome.IMPLAUSIBLE, profile, quality)
            moved_m = 0.0
        driving_s, rest_s, drove_s, driven_m = _drive(vehicle, newest, fix, elapsed_s, moved_m, profile, quality)

    # Most reports touch no alert at all; these five conditions are all that could.
    if (
        fix.alarms
        or vehicle.held
        or vehicle.ongoing
        or driving_s > profile.fatigue_warning_s
        or fix.speed_dkmh > vehicle.limit_dkmh
    ):
        _judge(vehicle, fix, fixed_at, driving_s, profile, quality, drove_s=drove_s)

    day = (fixed_at + CHINA_OFFSET_S) // 86_400
    if day > vehicle.day:
        _begin_day(vehicle, day)
    if driven_m or drove_s:
        since_midnight_s = fixed_at + CHINA_OFFSET_S - vehicle.day * 86_400
        if elapsed_s > since_midnight_s:
            drove_s, driven_m = _part_of_day(since_midnight_s, elapsed_s, drove_s, driven_m)
        vehicle.day_distance_m += driven_m
        day_driving_s = vehicle.day_driving_s = vehicle.day_driving_s + drove_s
        # A stint that began before midnight: all of today's driving is part of it.
        longest_s = driving_s if driving_s < day_driving_s else day_driving_s
        if longest_s > vehicle.day_longest_s:
            vehicle.day_longest_s = longest_s
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
    """Return why this fix shows no place (R50), None if it shows one: not positioned, (0,0), or off the globe."""
    lon_e6, lat_e6 = fix.lon_e6, fix.lat_e6
    if not fix.status & STATUS_POSITIONED or not (lon_e6 or lat_e6):
        return Outcome.NOT_POSITIONED
    if -MAX_LON_E6 <= lon_e6 <= MAX_LON_E6 and -MAX_LAT_E6 <= lat_e6 <= MAX_LAT_E6:
        return None
    return Outcome.IMPLAUSIBLE


# -- time -----------------------------------------------------------------------------------------------------------


def _give_way(vehicle: Vehicle, fixed_at: int, received_at: float, profile: Profile) -> None:
    """Put a state dated by a wrong clock, ahead of now, in its place by a right report (R50)."""
    if vehicle.reported_at - received_at > profile.future_s and is_right(fixed_at, received_at):
        give_way(vehicle, fixed_at, received_at, profile)
        day = civil_day(fixed_at)
        if vehicle.day > day:
            _begin_day(vehicle, day)


def _keep_backfill(vehicle: Vehicle, fix: Fix, received_at: float, profile: Profile) -> Outcome:
    """Keep a stored report that was sent late: it stands in the log, and moves nothing."""
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
    """Take in a report not newer than the newest.

    A second report of the same second may still bring an alarm, and is then no duplicate.
    """
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
    """Take in a report without a usable place; its alarms count, and an alert then carries the last known place."""
    if fixed_at > vehicle.reported_at:
        if fix.alarms or vehicle.held:
            _judge(vehicle, fix, fixed_at, vehicle.driving_s, profile, quality, platform_rules=False)
        vehicle.reported_at = fixed_at
    return problem


def _reanchors(vehicle: Vehicle, fix: Fix, fixed_at: int, profile: Profile, quality: Quality) -> bool:
    """Tell whether enough impossible fixes agree by now to show that the fix before them was the wrong one."""
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
) -> tuple[int, int, int, float]:
    """Return driving and rest seconds of the stint after this fix, and driving seconds and metres since the newest."""
    moving = newest.speed_dkmh >= profile.moving_dkmh
    if elapsed_s > profile.data_gap_s and not _was_parked(newest, fix, profile):
        quality.distance_m += moved_m
        quality.gap_distance_m += moved_m
        return vehicle.driving_s, 0, 0, moved_m  # It has moved, so the stop before the gap is over.
    driving_s, rest_s = stint_after(
        vehicle.driving_s, vehicle.rest_s, interval_s=elapsed_s, moving=moving, profile=profile
    )
    if not moving:
        return driving_s, rest_s, 0, 0.0
    quality.distance_m += moved_m
    return driving_s, rest_s, elapsed_s, moved_m


def _was_parked(newest: Fix, fix: Fix, profile: Profile) -> bool:
    """Tell whether the truck stood when it fell silent and stands at the same place now, whatever the engine bits say
    (R52).

    The way between such fixes is drift, also where a jump was believed in the end: so the distance is measured here.
    """
    if newest.speed_dkmh >= profile.moving_dkmh or fix.speed_dkmh >= profile.moving_dkmh:
        return False
    return distance_m(newest.lon_e6, newest.lat_e6, fix.lon_e6, fix.lat_e6) <= profile.parked_within_m


def _part_of_day(since_midnight_s: int, elapsed_s: int, drove_s: int, driven_m: float) -> tuple[int, float]:
    """Return the seconds and metres of an interval that lie after the midnight which it crosses.

    The result is 0 where a report without a position, later than this fix, has begun the next day: midnight is still to
    come then.
    """
    part_s = max(0, since_midnight_s)
    return min(drove_s, part_s), driven_m * part_s / elapsed_s


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
    drove_s: int = 0,
    platform_rules: bool = True,
) -> None:
    """Open, continue and end alerts after one report; called before the report becomes the newest."""
    episodes = _Episodes(vehicle, fix, fixed_at)
    if fixed_at > vehicle.reported_at or not platform_rules:
        _judge_terminal(vehicle, fix, episodes, quality)
    if platform_rules:
        if fixed_at - vehicle.fixed_at >= profile.offline_after_s:
            episodes.lapse()
        _judge_speed(vehicle, fix, fixed_at, profile, episodes)
        at_wheel = drove_s > 0 or fix.speed_dkmh >= profile.moving_dkmh
        _judge_fatigue(driving_s, profile, episodes, at_wheel=at_wheel)
    quality.alerts_begun += episodes.settle()


def _judge_terminal(vehicle: Vehicle, fix: Fix, episodes: _Episodes, quality: Quality) -> None:
    if not is_plausible(fix.alarms):
        quality.implausible_alarm_words += 1
        return
    if fix.alarms & bits.SPEEDING and not fix.speed_dkmh:
        quality.speeding_at_standstill += 1
    held, latched = conditions(fix.alarms, fix.speed_dkmh, vehicle.latched)
    if held & (bits.SPEEDING | bits.SPEEDING_WARNING):
        vehicle.computes_speeding = True
    if held or vehicle.held:
        for kind, mask in TERMINAL_KINDS:
            if held & mask:
                episodes.holds(kind, "terminal")
            elif vehicle.held & mask:
                episodes.ends(kind, "terminal")
    vehicle.held, vehicle.latched = held, latched


def _judge_speed(vehicle: Vehicle, fix: Fix, fixed_at: int, profile: Profile, episodes: _Episodes) -> None:
    """Judge speed (R52): above the limit on two fixes in a row, for a terminal that does not tell by itself."""
    newest, limit_dkmh = vehicle.newest, vehicle.limit_dkmh
    if fix.speed_dkmh <= limit_dkmh or vehicle.computes_speeding:
        episodes.ends("speeding", "platform")
    elif episodes.is_open("speeding", "platform"):
        episodes.holds("speeding", "platform")
    elif (
        newest is not None and newest.speed_dkmh > limit_dkmh and fixed_at - vehicle.fixed_at < profile.offline_after_s
    ):
        episodes.holds("speeding", "platform", since=newest, since_at=vehicle.fixed_at)


def _judge_fatigue(driving_s: int, profile: Profile, episodes: _Episodes, *, at_wheel: bool) -> None:
    """Judge fatigue (R52).

    It goes on while the stop is too short for a rest, and begins only for a driver ``at_wheel``.
    """
    suspected = fatigue_kind(driving_s, profile)
    for kind in ("fatigue_warning", "fatigue"):
        if kind != suspected:
            episodes.ends(kind, "platform")
        elif at_wheel or episodes.is_open(kind, "platform"):
            episodes.holds(kind, "platform")


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
        """Note that the condition holds in this report: an alert begins (``since`` an earlier fix), or goes on."""
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

    def lapse(self) -> None:
        """End what the platform inferred (R52), at the fix that showed it last, which is the newest."""
        inferred = [key for key in self._open if key[1] == "platform"]
        self._changed += [replace(self._open.pop(key), ended_at=self._vehicle.fixed_at) for key in inferred]

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
        """Write the alerts back; return how many have begun."""
        if not self._changed:
            return 0
        vehicle = self._vehicle
        known = {alert.id for alert in vehicle.ongoing}
        begun = len({alert.id for alert in self._changed} - known)
        ended = tuple(alert for alert in reversed(self._changed) if not alert.ongoing)
        unsaved = vehicle.unsaved if vehicle.unsaved is not None else {}
        unsaved.update((alert.id, alert) for alert in self._changed)
        day = civil_day(self._fixed_at)
        if day > vehicle.day:
            _begin_day(vehicle, day)
        midnight = midnight_of(vehicle.day)
        vehicle.day_alerts += len({alert.id for alert in self._changed if alert.started_at >= midnight} - known)
        vehicle.ongoing = tuple(self._open.values())
        vehicle.recent = (ended + vehicle.recent)[:RECENT_ALERTS]
        vehicle.unsaved = unsaved
        return begun
