"""The verdict finds each kind of lie, and no other."""

from __future__ import annotations

import pytest

from sim.owners import SeenAlert, SeenAlerts, SeenFix, SeenVehicle
from sim.truth import LastFix, truth
from sim.verdict import LISTED_LIMIT, NOTHING_BEFORE, Before, Difference, Question, Verdict, judge
from tests.sim.fakes import LAT_E6, LON_E6, NOON, told

REPORTS = (
    told(0, kmh=60),
    told(10, kmh=105, alarms=2),
    told(20, kmh=112, alarms=2),
    told(30, kmh=70, alarms=1),
)
FIX = SeenFix(NOON + 30, LON_E6 / 1e6, LAT_E6 / 1e6, 70.0, 12.0)
VEHICLE = SeenVehicle("v", "京A00001", True, FIX)
SPEEDING = SeenAlert("speeding", "terminal", NOON + 10, NOON + 30, 112.0)
EMERGENCY = SeenAlert("emergency", "terminal", NOON + 30, None, 70.0)


def judged(
    vehicle: SeenVehicle | None = VEHICLE,
    alerts: tuple[SeenAlert, ...] = (EMERGENCY, SPEEDING),
    *,
    before: Before = NOTHING_BEFORE,
    clock_offset_s: int = 0,
    cut: bool = False,
    driving_today_s: int | None = None,
) -> Verdict:
    verdict = Verdict()
    known = truth(REPORTS, limit_kmh=100, before=before.last_fix)
    judge(
        Question("京A00001", known, before, clock_offset_s, NOON - 5),
        vehicle,
        SeenAlerts(alerts, cut, driving_today_s),
        verdict,
    )
    return verdict


def test_the_truth_is_found_true() -> None:
    verdict = judged()
    assert verdict.clean
    assert (verdict.vehicles, verdict.fixes, verdict.alerts) == (1, 1, 2)


def test_driving_that_was_never_driven_is_found() -> None:
    (driven_s,) = truth(REPORTS, limit_kmh=100).driving_s.values() or (0,)
    assert judged(driving_today_s=driven_s).clean
    assert list(judged(driving_today_s=driven_s + 1).by_kind) == ["driving today"]


@pytest.mark.parametrize(
    "vehicle,what",
    [
        (None, "vehicle"),
        (VEHICLE._replace(last_fix=None, online=False), "last fix"),
        (VEHICLE._replace(last_fix=FIX._replace(fixed_at=NOON + 20)), "last fix's time"),
        (VEHICLE._replace(last_fix=FIX._replace(lon=113.00001)), "last fix's place"),
        (VEHICLE._replace(last_fix=FIX._replace(lat=34.1)), "last fix's place"),
        (VEHICLE._replace(last_fix=FIX._replace(speed_kmh=70.1)), "last fix's speed"),
        (VEHICLE._replace(online=False), "presence"),
        (VEHICLE._replace(last_fix=FIX._replace(age_s=700.0)), "presence"),
    ],
)
def test_a_planted_error_in_the_vehicle_is_found(vehicle: SeenVehicle | None, what: str) -> None:
    verdict = judged(vehicle)
    assert list(verdict.by_kind) == [what]
    assert not verdict.clean


@pytest.mark.parametrize(
    "alerts,what",
    [
        ((EMERGENCY,), ["alert missing"]),
        ((EMERGENCY, SPEEDING, EMERGENCY._replace(kind="collision")), ["alert never was"]),
        ((EMERGENCY, SPEEDING._replace(source="platform")), ["alert missing", "alert never was"]),
        ((EMERGENCY, SPEEDING._replace(started_at=NOON + 20)), ["alert missing", "alert never was"]),
        ((EMERGENCY, SPEEDING._replace(ended_at=None)), ["alert differs"]),
        ((EMERGENCY, SPEEDING._replace(ended_at=NOON + 40)), ["alert differs"]),
        ((EMERGENCY, SPEEDING._replace(peak_kmh=105.0)), ["alert differs"]),
        ((EMERGENCY._replace(ended_at=NOON + 30), SPEEDING), ["alert differs"]),
        ((EMERGENCY, SPEEDING, SPEEDING), ["alert told twice"]),
    ],
)
def test_a_planted_error_in_the_alerts_is_found(alerts: tuple[SeenAlert, ...], what: list[str]) -> None:
    assert list(judged(alerts=alerts).by_kind) == what


def test_r52_an_inferred_alert_of_a_silent_truck_must_be_told_as_ended() -> None:
    known = truth((told(0, kmh=105), told(30, kmh=106)), limit_kmh=100)
    case = Question("京A00001", known, NOTHING_BEFORE, 0, NOON - 5)
    silent = VEHICLE._replace(online=False, last_fix=FIX._replace(age_s=700.0, speed_kmh=106.0))
    ongoing = SeenAlert("speeding", "platform", NOON, None, 106.0)
    for told_of, expected in ((ongoing._replace(ended_at=NOON + 30), []), (ongoing, ["alert differs"])):
        verdict = Verdict()
        judge(case, silent, SeenAlerts((told_of,), cut=False, online=False), verdict)
        assert list(verdict.by_kind) == expected


def test_an_alert_from_before_the_run_is_not_its_to_judge() -> None:
    old = SeenAlert("collision", "terminal", NOON - 6000, None, 0.0)
    assert judged(alerts=(EMERGENCY, SPEEDING, old)).clean


def test_an_alert_that_was_already_on_is_not_compared() -> None:
    before = Before(LastFix(NOON - 20, LON_E6, LAT_E6, 1040), frozenset({("speeding", "terminal")}))
    running = SPEEDING._replace(started_at=NOON - 50)
    assert judged(alerts=(EMERGENCY, running), before=before).clean


def test_without_a_report_of_its_own_the_run_expects_what_was_there_before() -> None:
    before = Before(LastFix(NOON + 40, LON_E6, LAT_E6, 0), frozenset())
    unmoved = VEHICLE._replace(last_fix=FIX._replace(fixed_at=NOON + 40, speed_kmh=0.0))
    assert judged(unmoved, (), before=before).clean


def test_only_as_many_alerts_are_compared_as_a_cut_list_holds() -> None:
    newest = EMERGENCY
    assert judged(alerts=(newest._replace(started_at=NOON + 29), newest), cut=True).clean


def test_a_vehicle_seen_exactly_at_the_edge_of_being_offline_is_given_the_benefit() -> None:
    edge = VEHICLE._replace(last_fix=FIX._replace(age_s=600.5))
    assert judged(edge).clean
    assert judged(edge._replace(online=False)).clean


def test_a_wrong_clock_that_nobody_could_have_learned_yet_is_not_compared() -> None:
    verdict = judged(clock_offset_s=-7 * 3600)
    assert verdict.clean
    assert verdict.not_comparable["clock not yet learned"] == 1


def test_a_flood_of_differences_is_counted_and_only_partly_kept() -> None:
    verdict = Verdict(vehicles=1)
    verdict.add(Difference("京A00001", "presence", "online", "offline") for _ in range(1000))
    assert verdict.by_kind["presence"] == 1000
    assert len(verdict.differences) == LISTED_LIMIT


def test_nothing_compared_is_not_clean() -> None:
    assert not Verdict().clean


def test_an_alert_that_stood_there_before_the_run_does_not_fail_it_though_its_time_lies_ahead() -> None:
    ahead = SeenAlert("collision", "terminal", NOON + 5000, NOON + 5060, 0.0)
    assert not judged(alerts=(EMERGENCY, SPEEDING, ahead)).clean
    before = Before(None, frozenset(), frozenset({("collision", "terminal", NOON + 5000)}))
    assert judged(alerts=(EMERGENCY, SPEEDING, ahead), before=before).clean
