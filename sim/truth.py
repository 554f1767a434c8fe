"""The ground truth: what the service must tell about a vehicle, given the reports that it acknowledged.

It is derived from the rules alone (R32, R50, R52 and the settled readings), over whole lists and without regard to
cost. It shares nothing with the service, so that no error there is repeated here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt
from typing import Final, NamedTuple

from sim.civil_time import CHINA_S, DAY_S
from sim.ledger import Told

ACC_ON: Final = 1
POSITIONED: Final = 2
SPEEDING_BIT: Final = 1 << 1
SPEEDING_BITS: Final = 1 << 1 | 1 << 13
KINDS: Final = {
    0: "emergency",
    1: "speeding",
    2: "fatigue",
    3: "dangerous_driving",
    4: "gnss_fault",
    5: "antenna_open",
    6: "antenna_short",
    7: "power_low",
    8: "power_lost",
    9: "display_fault",
    10: "tts_fault",
    11: "camera_fault",
    12: "ic_card_fault",
    13: "speeding_warning",
    14: "fatigue_warning",
    18: "driving_time_exceeded",
    19: "parked_too_long",
    20: "area",
    21: "route",
    22: "section_time",
    23: "off_route",
    24: "vss_fault",
    25: "fuel_abnormal",
    26: "stolen",
    27: "illegal_ignition",
    28: "illegal_move",
    29: "collision",
    30: "rollover",
    31: "illegal_door",
}
_FUTURE_S: Final = 300
_HOUR_S: Final = 3600
_LATE_S: Final = 450
_STEADY_WITHIN_S: Final = 90
_LEARNED_AFTER: Final = 4
_WAITING: Final = 8
_WAITS_S: Final = 3600
_LEARNED_SPAN_S: Final = 90
_GAP_S: Final = 300
_SILENCE_S: Final = 600
_PARKED_M: Final = 200
_REST_S: Final = 1200
_WARNING_S: Final = 12_600
_FATIGUE_S: Final = 14_400
_MOVING_DKMH: Final = 50
_REANCHORED_AFTER: Final = 5


class LastFix(NamedTuple):
    """A position as the service shows it."""

    fixed_at: int
    lon_e6: int
    lat_e6: int
    speed_dkmh: int


@dataclass(frozen=True, slots=True)
class Episode:
    """An alert from its start to its end, or ongoing."""

    kind: str
    source: str
    started_at: int
    ended_at: int | None
    peak_dkmh: int


@dataclass(frozen=True, slots=True)
class Truth:
    """The facts that can be known about a vehicle from a run's acknowledged reports."""

    last_fix: LastFix | None
    episodes: tuple[Episode, ...]
    """The episodes as if the newest fix were just made: see ``silenced``."""
    driving_s: dict[int, int]
    """Seconds of driving by day, counted in days since 1970 of China's calendar."""
    clock_offset_s: int
    """Seconds by which the terminal's clock was found to be ahead."""
    fatigue_known_from: int
    """The fix time from which the hours at the wheel are known: the start, or a rest that this run saw."""


def truth(reports: Sequence[Told], *, limit_kmh: int, before: LastFix | None = None) -> Truth:
    """Fold acknowledged reports, in their order of arrival, on top of the last fix ``before`` them.

    Conditions from before the run appear as episodes that start at ``before``; this run does not judge them.
    """
    right, clock_offset_s = right_clocks(reports)
    live = newest_only(right, before)
    fixes = plausible(live, before)
    driven = driving(fixes)
    last = fixes[-1] if fixes else None
    episodes = [*terminal_episodes(live), *fatigue_episodes(driven)]
    if not any(report.alarms & SPEEDING_BITS for report in live):
        episodes += speeding_episodes([*_as_report(before), *fixes], limit_kmh=limit_kmh)
    rested = [step.fixed_at for step in driven if step.rest_s >= _REST_S]
    return Truth(
        last_fix=LastFix(last.fixed_at, last.lon_e6, last.lat_e6, last.speed_dkmh) if last else None,
        episodes=tuple(sorted(episodes, key=lambda episode: (episode.started_at, episode.source, episode.kind))),
        driving_s=by_day(driven),
        clock_offset_s=clock_offset_s,
        fatigue_known_from=0 if before is None else min(rested, default=1 << 62),
    )


# The right time (R50)


def right_clocks(reports: Iterable[Told]) -> tuple[list[Told], int]:
    """Return the live reports and the offset found.

    The offset is subtracted once it is known; until then reports from the future wait.
    """
    kept: list[Told] = []
    steady: list[Told] = []
    ahead: list[Told] = []
    learned_s = 0
    for report in reports:
        if report.backfilled:
            continue
        offset_s = hours_offset_s(report.fixed_at - report.received_at)
        if steady and hours_offset_s(steady[-1].fixed_at - steady[-1].received_at) != offset_s:
            steady = []
        steady.append(report)
        if len(steady) >= _LEARNED_AFTER and report.received_at - steady[0].received_at >= _LEARNED_SPAN_S:
            learned_s = offset_s
        fixed_at = report.fixed_at - (learned_s if offset_s == learned_s else 0)
        if fixed_at - report.received_at > _FUTURE_S:
            ahead = [*ahead[1 - _WAITING :], report]
            continue
        before = (each for each in ahead if 0 <= report.fixed_at - each.fixed_at <= _WAITS_S)
        kept += [each._replace(fixed_at=each.fixed_at - report.fixed_at + fixed_at) for each in before]
        kept.append(report._replace(fixed_at=fixed_at))
        ahead = []
    return kept, learned_s


def hours_offset_s(skew_s: float) -> int:
    """Return the whole hours by which a clock is wrong; 0 where it is right or wrong in another way."""
    if -_LATE_S < skew_s <= _FUTURE_S:
        return 0
    nearest = round(skew_s / _HOUR_S) * _HOUR_S
    return nearest if abs(skew_s - nearest) <= _STEADY_WITHIN_S else 0


# News, and the truck's position


def newest_only(live: Iterable[Told], before: LastFix | None) -> list[Told]:
    """Drop duplicates, and reports older than one already told."""
    newest = before.fixed_at if before else 0
    kept = []
    for report in live:
        if report.fixed_at > newest:
            newest = report.fixed_at
            kept.append(report)
    return kept


def plausible(live: Iterable[Told], before: LastFix | None) -> list[Told]:
    """Keep reports that tell the truck's position: positioned, on earth, and reachable from the previous fix."""
    kept: list[Told] = []
    astray: list[Told] = []
    last = before
    for report in live:
        if not report.status & POSITIONED or not on_earth(report):
            continue
        here = LastFix(report.fixed_at, report.lon_e6, report.lat_e6, report.speed_dkmh)
        if last and not reachable(last, here):
            if astray and not reachable(_as_fix(astray[-1]), here):
                astray = []
            astray.append(report)
            if len(astray) < _REANCHORED_AFTER:
                continue
        astray = []
        last = here
        kept.append(report)
    return kept


def _as_fix(report: Told) -> LastFix:
    return LastFix(report.fixed_at, report.lon_e6, report.lat_e6, report.speed_dkmh)


def _as_report(fix: LastFix | None) -> list[Told]:
    """Return the fix before the run, so that the run's first fix can be the second of a pair."""
    if fix is None:
        return []
    return [Told(0, fix.fixed_at, fix.fixed_at, fix.lon_e6, fix.lat_e6, fix.speed_dkmh, 0, 0, 0, POSITIONED, 0)]


def on_earth(report: Told) -> bool:
    """Tell whether the position is within the globe's degrees and not (0,0)."""
    somewhere = (report.lon_e6, report.lat_e6) != (0, 0)
    return somewhere and abs(report.lon_e6) <= 180_000_000 and abs(report.lat_e6) <= 90_000_000


def reachable(a: LastFix, b: LastFix) -> bool:
    """Tell whether a truck could have driven from one to the other: 500 m, and 50 m/s."""
    return metres(a, b) <= 500 + 50 * abs(b.fixed_at - a.fixed_at)


def metres(a: LastFix | Told, b: LastFix | Told) -> float:
    """Return the great-circle distance."""
    lat_a, lat_b = radians(a.lat_e6 / 1e6), radians(b.lat_e6 / 1e6)
    across = radians((b.lon_e6 - a.lon_e6) / 1e6)
    half = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin(across / 2) ** 2
    return 2 * 6_371_008.8 * asin(sqrt(half))


# Alerts of the terminal


def terminal_episodes(live: Sequence[Told]) -> list[Episode]:
    """Return, for each kind, the runs of reports that carry it."""
    told = [(report, conditions(report)) for report in live]
    camera = camera_states(live)
    episodes = []
    for kind in KINDS.values():
        carried = [kind in kinds or (kind == "fatigue" and on) for (_, kinds), on in zip(told, camera, strict=True)]
        episodes += runs(live, carried, kind=kind, source="terminal")
    return episodes


def conditions(report: Told) -> set[str]:
    """Return the conditions in the alarm word and item 0x18; empty where the word cannot be true."""
    word = report.alarms
    if word.bit_count() >= 16:
        word = 0
    if not report.speed_dkmh:
        word &= ~SPEEDING_BIT
    kinds = {name for bit, name in KINDS.items() if word >> bit & 1}
    return kinds | {"fatigue"} if report.abnormal & 1 else kinds


def camera_states(live: Iterable[Told]) -> list[bool]:
    """Tell for each report whether item 0x65 holds a fatigue: from its start (1) to its end (2), or just once (3)."""
    states = []
    held = False
    for report in live:
        held = report.camera_event == 1 or (held and report.camera_event != 2)
        states.append(held or report.camera_event == 3)
    return states


def runs(reports: Sequence[Told], carried: Sequence[bool], *, kind: str, source: str) -> list[Episode]:
    """Return an episode for each unbroken run of carrying reports; the first report after it is its end."""
    episodes: list[Episode] = []
    on = False
    for report, carries in zip(reports, carried, strict=True):
        if carries and on:
            running = episodes[-1]
            episodes[-1] = replace(running, peak_dkmh=max(running.peak_dkmh, report.speed_dkmh))
        elif carries:
            episodes.append(Episode(kind, source, report.fixed_at, None, report.speed_dkmh))
        elif on:
            episodes[-1] = replace(episodes[-1], ended_at=report.fixed_at)
        on = carries
    return episodes


# Alerts of the platform


def speeding_episodes(fixes: Sequence[Told], *, limit_kmh: int) -> list[Episode]:
    """Return the speeding episodes: above the limit on two fixes in a row, until the first that is not."""
    episodes: list[Episode] = []
    parts = stretches(fixes)
    for stretch in parts:
        carried = [False] * len(stretch)
        for index, (a, b) in enumerate(pairwise(stretch)):
            if min(a.speed_dkmh, b.speed_dkmh) > limit_kmh * 10:
                carried[index] = carried[index + 1] = True
        found = runs(stretch, carried, kind="speeding", source="platform")
        episodes += found if stretch is parts[-1] else [over_at(each, stretch[-1].fixed_at) for each in found]
    return episodes


def stretches(fixes: Sequence[Told]) -> list[list[Told]]:
    """Split the fixes at silences of ten minutes. There is at least one stretch, empty without a fix."""
    found: list[list[Told]] = [[]]
    for fix in fixes:
        if found[-1] and fix.fixed_at - found[-1][-1].fixed_at >= _SILENCE_S:
            found.append([])
        found[-1].append(fix)
    return found


def over_at(episode: Episode, last_shown_at: int) -> Episode:
    """End an inferred, still ongoing episode at the last fix before a silence (R52)."""
    inferred = episode.source == "platform" and episode.ended_at is None
    return replace(episode, ended_at=last_shown_at) if inferred else episode


def silenced(known: Truth) -> list[Episode]:
    """Return the episodes as they are told once the vehicle is offline."""
    last = known.last_fix
    return [over_at(each, last.fixed_at) if last else each for each in known.episodes]


class Step(NamedTuple):
    """The known hours at the wheel after a fix."""

    fixed_at: int
    speed_dkmh: int
    added_s: int
    driving_s: int
    rest_s: int


def driving(fixes: Sequence[Told]) -> list[Step]:
    """Return the driving since the last real stop, and the rest since the last movement, at each fix."""
    steps: list[Step] = []
    driving_s = rest_s = 0
    for index, fix in enumerate(fixes):
        added_s = 0
        if index:
            earlier = fixes[index - 1]
            span_s = fix.fixed_at - earlier.fixed_at
            moving = earlier.speed_dkmh >= _MOVING_DKMH
            if span_s <= _GAP_S and moving:
                added_s = span_s
                driving_s += span_s
                rest_s = 0
            elif span_s <= _GAP_S or parked_through(earlier, fix):
                rest_s += span_s
            else:
                rest_s = 0
            if rest_s >= _REST_S:
                driving_s = 0
        steps.append(Step(fix.fixed_at, fix.speed_dkmh, added_s, driving_s, rest_s))
    return steps


def parked_through(a: Told, b: Told) -> bool:
    """Tell whether the truck stood: wheels still when the gap began, and still in the same place when it ends."""
    still = a.speed_dkmh < _MOVING_DKMH and b.speed_dkmh < _MOVING_DKMH
    return still and metres(a, b) <= _PARKED_M


def fatigue_episodes(driven: Sequence[Step]) -> list[Episode]:
    """Return warnings from 3.5 h and fatigue from 4 h, both until a rest of 20 min or a silence.

    Neither begins at a stop.
    """
    episodes: list[Episode] = []
    running: Episode | None = None
    for index, step in enumerate(driven):
        if running and step.fixed_at - driven[index - 1].fixed_at >= _SILENCE_S:
            episodes.append(over_at(running, driven[index - 1].fixed_at))
            running = None
        kind = None
        if step.driving_s > _FATIGUE_S:
            kind = "fatigue"
        elif step.driving_s > _WARNING_S:
            kind = "fatigue_warning"
        if running and kind != running.kind:
            episodes.append(replace(running, ended_at=step.fixed_at))
            running = None
        if running:
            running = replace(running, peak_dkmh=max(running.peak_dkmh, step.speed_dkmh))
        elif kind and (step.added_s or step.speed_dkmh >= _MOVING_DKMH):
            running = Episode(kind, "platform", step.fixed_at, None, step.speed_dkmh)
    return [*episodes, running] if running else episodes


def by_day(driven: Iterable[Step]) -> dict[int, int]:
    """Sum the driving by day; cut an interval that crosses midnight."""
    days: dict[int, int] = {}
    for step in driven:
        day, second = divmod(step.fixed_at + CHINA_S, DAY_S)
        for each, part_s in ((day, min(step.added_s, second)), (day - 1, max(0, step.added_s - second))):
            if part_s:
                days[each] = days.get(each, 0) + part_s
    return days
