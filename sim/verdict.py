"""The verdict: whether the service tells the truth about every vehicle."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from sim.civil_time import CHINA_S, CHINA_TIME, DAY_S
from sim.owners import SeenAlert, SeenAlerts, SeenFix, SeenVehicle, Service
from sim.registry_lines import Business
from sim.terminal import Terminal
from sim.truth import Episode, LastFix, Truth, silenced, truth

LISTED_LIMIT: Final = 50
OFFLINE_AFTER_S: Final = 600
_OWNERS_AT_ONCE: Final = 4
_PAGES_AT_ONCE: Final = 8
"""Pages read at once, per owner."""
_EDGE_S: Final = 2
_MIDNIGHT_S: Final = 600
"""Seconds around midnight in which the service's day is uncertain."""
AlertKey = tuple[str, str, int]
"""Kind, source and start: no two alerts of a vehicle share them."""
Take = Callable[[str, SeenVehicle], Awaitable[None]]
"""Handles (an owner's token, one of the owner's vehicles)."""
_FATIGUE_KINDS: Final = ("fatigue", "fatigue_warning")


class Difference(NamedTuple):
    """A point on which the service's answer differs from the truth."""

    plate: str
    what: str
    expected: str
    told: str


class Before(NamedTuple):
    """The service's knowledge of a vehicle when the drive began."""

    last_fix: LastFix | None
    ongoing: frozenset[tuple[str, str]]
    """(kind, source) of the alerts that were on."""
    told: frozenset[AlertKey] = frozenset()
    """The alerts that already stood on the vehicle's page."""


NOTHING_BEFORE: Final = Before(None, frozenset())


@dataclass(slots=True)
class Verdict:
    """The result of a comparison; ``differences`` keeps the first of them, ``by_kind`` counts all."""

    vehicles: int = 0
    fixes: int = 0
    alerts: int = 0
    not_comparable: Counter[str] = field(default_factory=Counter)
    """Facts that this run cannot know, by reason."""
    by_kind: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add(self, found: Iterable[Difference]) -> None:
        """Count every difference and keep the first ones."""
        for difference in found:
            self.by_kind[difference.what] += 1
            if len(self.differences) < LISTED_LIMIT:
                self.differences.append(difference)

    @property
    def clean(self) -> bool:
        """Tell whether everything agrees, and there was something to compare."""
        return not self.by_kind and self.vehicles > 0


class Question(NamedTuple):
    """A vehicle's case."""

    plate: str
    truth: Truth
    before: Before
    clock_offset_s: int
    """Seconds by which the terminal's clock really was ahead."""
    started_at: float
    """The drive's start; this run does not judge earlier alerts."""


# Comparing


def judge(question: Question, seen: SeenVehicle | None, alerts: SeenAlerts, verdict: Verdict) -> None:
    """Compare a vehicle and add its differences to the verdict."""
    verdict.vehicles += 1
    if seen is None:
        verdict.add([Difference(question.plate, "vehicle", "in its owner's list", "not there")])
        return
    if question.clock_offset_s and question.truth.clock_offset_s != question.clock_offset_s:
        verdict.not_comparable["clock not yet learned"] += 1
        return
    expected = question.truth.last_fix or question.before.last_fix
    verdict.add(fix_differences(question.plate, expected, seen.last_fix))
    verdict.add(presence_differences(question.plate, expected, seen))
    verdict.fixes += expected is not None
    if question.clock_offset_s:
        verdict.not_comparable["alerts of a wrong clock"] += 1
        return
    verdict.add(alert_differences(question, alerts, verdict))
    verdict.add(driving_differences(question, seen, alerts.driving_today_s))


def fix_differences(plate: str, expected: LastFix | None, seen: SeenFix | None) -> list[Difference]:
    """Compare the last fix: time, place and speed."""
    if expected is None or seen is None:
        same = expected is None and seen is None
        return (
            [] if same else [Difference(plate, "last fix", _fix_text(expected), "none" if seen is None else str(seen))]
        )
    found = []
    if round(seen.fixed_at) != expected.fixed_at:
        found.append(Difference(plate, "last fix's time", _clock_text(expected.fixed_at), _clock_text(seen.fixed_at)))
    lon, lat = expected.lon_e6 / 1e6, expected.lat_e6 / 1e6
    if abs(seen.lon - lon) > 2e-6 or abs(seen.lat - lat) > 2e-6:
        found.append(Difference(plate, "last fix's place", f"{lon:.6f},{lat:.6f}", f"{seen.lon:.6f},{seen.lat:.6f}"))
    if abs(seen.speed_kmh - expected.speed_dkmh / 10) > 0.06:
        found.append(Difference(plate, "last fix's speed", f"{expected.speed_dkmh / 10}", f"{seen.speed_kmh}"))
    return found


def presence_differences(plate: str, expected: LastFix | None, seen: SeenVehicle) -> list[Difference]:
    """Compare presence: online exactly while the newest fix is younger than 600 s, by the service's own now (R32)."""
    online = False
    age_s = 0.0
    if expected and seen.last_fix:
        age_s = seen.last_fix.fixed_at + seen.last_fix.age_s - expected.fixed_at
        online = age_s < OFFLINE_AFTER_S
        if abs(age_s - OFFLINE_AFTER_S) < _EDGE_S:
            return []
    if seen.online == online:
        return []
    words = {True: "online", False: "offline", None: "unknown"}
    return [Difference(plate, "presence", f"{words[online]}, {age_s:.0f} s old", words[seen.online])]


def alert_differences(question: Question, seen: SeenAlerts, verdict: Verdict) -> list[Difference]:
    """Find missing alerts, invented alerts, and differing ends and peaks."""
    oldest = min((alert.started_at for alert in seen.alerts), default=0) + 1 if seen.cut else 0
    since = max(question.started_at, oldest)

    def comparable(alert: Episode | SeenAlert) -> bool:
        if alert.started_at < since:
            return False
        hours_unknown = alert.source == "platform" and alert.kind in _FATIGUE_KINDS
        if hours_unknown and alert.started_at <= question.truth.fatigue_known_from:
            verdict.not_comparable["hours at the wheel before the run"] += 1
            return False
        if (alert.kind, alert.source) in question.before.ongoing:
            verdict.not_comparable["alert already on before the run"] += 1
            return False
        return True

    episodes = silenced(question.truth) if seen.online is False else question.truth.episodes
    expected = {_key(episode): episode for episode in episodes if comparable(episode)}
    listed = [alert for alert in seen.alerts if comparable(alert) and _key(alert) not in question.before.told]
    told = {_key(alert): alert for alert in listed}
    verdict.alerts += len(expected)
    missing = [
        Difference(question.plate, "alert missing", _episode_text(expected[k]), "") for k in expected.keys() - told
    ]
    extra = [Difference(question.plate, "alert never was", "", _alert_text(told[k])) for k in told.keys() - expected]
    differing = [
        Difference(question.plate, "alert differs", _episode_text(expected[key]), _alert_text(told[key]))
        for key in expected.keys() & told
        if not _same_alert(expected[key], told[key])
    ]
    twice = [Difference(question.plate, "alert told twice", "once", f"{len(listed) - len(told)} times more")]
    return missing + extra + differing + (twice if len(listed) > len(told) else [])


def driving_differences(question: Question, seen: SeenVehicle, told_s: int | None) -> list[Difference]:
    """Compare today's driving, to the second, for vehicles that the service did not know before the run."""
    if told_s is None or seen.last_fix is None or question.before.last_fix is not None:
        return []
    now = seen.last_fix.fixed_at + seen.last_fix.age_s
    day, second = divmod(int(now) + CHINA_S, DAY_S)
    expected_s = question.truth.driving_s.get(day, 0)
    if told_s == expected_s or second < _MIDNIGHT_S or second > DAY_S - _MIDNIGHT_S:
        return []
    return [Difference(question.plate, "driving today", f"{expected_s} s", f"{told_s} s")]


def _key(alert: Episode | SeenAlert) -> AlertKey:
    return alert.kind, alert.source, alert.started_at


def _same_alert(expected: Episode, told: SeenAlert) -> bool:
    return expected.ended_at == told.ended_at and abs(expected.peak_dkmh / 10 - told.peak_kmh) <= 0.06


def _clock_text(at: float) -> str:
    return datetime.fromtimestamp(at, CHINA_TIME).isoformat(timespec="seconds")


def _fix_text(fix: LastFix | None) -> str:
    return f"{_clock_text(fix.fixed_at)} {fix.lon_e6 / 1e6:.6f},{fix.lat_e6 / 1e6:.6f}" if fix else "none"


def _span_text(started_at: int, ended_at: int | None) -> str:
    return f"{_clock_text(started_at)} to {_clock_text(ended_at) if ended_at else 'now'}"


def _episode_text(alert: Episode) -> str:
    span = _span_text(alert.started_at, alert.ended_at)
    return f"{alert.source} {alert.kind} {span}, peak {alert.peak_dkmh / 10} km/h"


def _alert_text(alert: SeenAlert) -> str:
    span = _span_text(alert.started_at, alert.ended_at)
    return f"{alert.source} {alert.kind} {span}, peak {alert.peak_kmh} km/h"


# Asking the service


async def look_before(service: Service, owners: Sequence[Business]) -> dict[str, Before]:
    """Return the service's knowledge of each plate before the drive.

    Raises ``ServiceError``, or ``SignInRefused`` for a strange fleet.
    """
    known: dict[str, Before] = {}

    async def take(token: str, vehicle: SeenVehicle) -> None:
        if vehicle.last_fix is None:
            known[vehicle.plate] = NOTHING_BEFORE
            return
        seen = await service.alerts(token, vehicle.id)
        ongoing = frozenset((alert.kind, alert.source) for alert in seen.alerts if alert.ended_at is None)
        told = frozenset(_key(alert) for alert in seen.alerts)
        known[vehicle.plate] = Before(_as_last_fix(vehicle.last_fix), ongoing, told)

    await _each_vehicle(service, owners, take)
    return known


async def verdict_of(
    service: Service,
    owners: Sequence[Business],
    terminals: Sequence[Terminal],
    *,
    before: dict[str, Before],
    started_at: float,
) -> Verdict:
    """Ask for every vehicle and compare it with the acknowledged reports. Raises ``ServiceError``."""
    verdict = Verdict()
    open_cases = {terminal.who.plate: terminal for terminal in terminals}

    async def take(token: str, vehicle: SeenVehicle) -> None:
        terminal = open_cases.pop(vehicle.plate, None)
        if terminal is not None:
            question = question_of(terminal, before.get(vehicle.plate, NOTHING_BEFORE), started_at)
            judge(question, vehicle, await service.alerts(token, vehicle.id), verdict)

    await _each_vehicle(service, owners, take)
    for plate, terminal in open_cases.items():
        judge(
            question_of(terminal, before.get(plate, NOTHING_BEFORE), started_at), None, SeenAlerts((), False), verdict
        )
    verdict.add(
        Difference(terminal.who.plate, "never acknowledged", "an answer", f"{terminal.outbox.unfinished} open")
        for terminal in terminals
        if terminal.outbox.unfinished
    )
    return verdict


def question_of(terminal: Terminal, before: Before, started_at: float) -> Question:
    """Build a terminal's case."""
    known = truth(terminal.ledger.reports(), limit_kmh=terminal.truck.limit_kmh, before=before.last_fix)
    return Question(terminal.who.plate, known, before, terminal.faults.clock_offset_s, started_at)


def _as_last_fix(fix: SeenFix) -> LastFix:
    return LastFix(round(fix.fixed_at), round(fix.lon * 1e6), round(fix.lat * 1e6), round(fix.speed_kmh * 10))


async def _each_vehicle(service: Service, owners: Sequence[Business], take: Take) -> None:
    """Sign in as each owner and hand every vehicle on, some at a time."""
    terms_version = await service.terms_version()
    some_owners = asyncio.Semaphore(_OWNERS_AT_ONCE)

    async def ask(owner: Business) -> None:
        async with some_owners:
            token = await service.sign_in(owner, terms_version)
            page: list[SeenVehicle] = []
            async for vehicle in service.vehicles(token):
                page.append(vehicle)
                if len(page) >= _PAGES_AT_ONCE:
                    await asyncio.gather(*(take(token, one) for one in page))
                    page.clear()
            await asyncio.gather(*(take(token, one) for one in page))

    async with asyncio.TaskGroup() as group:
        for owner in owners:
            group.create_task(ask(owner))


# Telling


def show(verdict: Verdict, console: Console) -> None:
    """Print the counts of the comparison, and the differences."""
    console.print(
        f"verdict: {verdict.vehicles} vehicles, {verdict.fixes} last fixes, {verdict.alerts} alerts compared; "
        f"{verdict.by_kind.total()} differences"
    )
    for reason, count in verdict.not_comparable.items():
        console.print(f"  not compared: {count} × {reason}")
    if not verdict.by_kind:
        return
    if console.is_terminal:
        console.print(_table(verdict.differences))
    else:
        for plate, what, expected, told in verdict.differences:
            console.print(
                f"  {plate} {what}: expected {expected or '-'}; told {told or '-'}", markup=False, soft_wrap=True
            )
    for what, count in verdict.by_kind.most_common():
        console.print(f"  {what}: {count}")


def _table(differences: Iterable[Difference]) -> Table:
    table = Table("plate", "what", "expected", "told by the service", title="differences")
    for difference in differences:
        table.add_row(*difference)
    return table
