"""The oracle reads the rules as they are written, and agrees with the service's own fold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.vehicle.alerts import Alert
from domain.vehicle.fix import Fix
from domain.vehicle.profile import DEFAULT_PROFILE
from domain.vehicle.quality import Quality
from domain.vehicle.vehicle import Vehicle, accept, alerts_of, driving_today
from sim.civil_time import CHINA_S, DAY_S
from sim.ledger import Ledger, Told
from sim.truth import ACC_ON, POSITIONED, Episode, LastFix, Truth, silenced, truth
from tests.sim.fakes import LAT_E6, LON_E6, NOON, told

EMERGENCY, SPEEDING, FATIGUE = 1 << 0, 1 << 1, 1 << 2
POSITIONED_PARKED = POSITIONED


def of(*reports: Told, limit_kmh: int = 100, before: LastFix | None = None) -> Truth:
    return truth(reports, limit_kmh=limit_kmh, before=before)


def last_at(found: Truth) -> int | None:
    return found.last_fix.fixed_at - NOON if found.last_fix else None


def alerts(found: Truth) -> list[tuple[str, str, int, int | None]]:
    return [
        (e.kind, e.source, e.started_at - NOON, None if e.ended_at is None else e.ended_at - NOON)
        for e in found.episodes
    ]


def test_the_newest_fix_is_the_last() -> None:
    assert last_at(of(told(0), told(10), told(20))) == 20


def test_a_late_fix_does_not_move_the_truck_back_and_raises_nothing() -> None:
    found = of(told(0), told(20), told(10, order=21, alarms=EMERGENCY))
    assert last_at(found) == 20
    assert alerts(found) == []


def test_a_backfilled_report_changes_nothing_that_is_live() -> None:
    found = of(told(0), told(10, backfilled=1, alarms=EMERGENCY))
    assert last_at(found) == 0
    assert alerts(found) == []


def test_a_report_from_the_future_is_ignored_wholly() -> None:
    found = of(told(0), told(400, sent_at=10, alarms=EMERGENCY))
    assert last_at(found) == 0
    assert alerts(found) == []


def test_five_minutes_ahead_is_still_the_present() -> None:
    assert last_at(of(told(300, sent_at=0))) == 300


def test_without_a_position_the_alarm_counts_and_the_place_does_not() -> None:
    found = of(told(0), told(10, status=ACC_ON, alarms=EMERGENCY))
    assert last_at(found) == 0
    assert alerts(found) == [("emergency", "terminal", 10, None)]


def test_null_island_is_no_position() -> None:
    assert last_at(of(told(0), told(10, nowhere=True))) == 0


def test_a_jump_is_no_position_and_its_alarm_counts() -> None:
    found = of(told(0), told(10, north_m=1200, alarms=EMERGENCY), told(20, north_m=100))
    assert last_at(found) == 20
    assert alerts(found) == [("emergency", "terminal", 10, 20)]


def test_the_fifth_jump_in_a_row_that_agrees_with_the_others_is_believed() -> None:
    jumps = [told(at, north_m=90_000 + at) for at in (10, 20, 30, 40, 50)]
    assert last_at(of(told(0), *jumps[:4])) == 0
    assert last_at(of(told(0), *jumps)) == 50


def test_an_alarm_repeated_is_one_alert_with_its_peak() -> None:
    found = of(told(0), told(10, kmh=105, alarms=2), told(20, kmh=118, alarms=2), told(30, kmh=90), told(40))
    assert found.episodes == (Episode("speeding", "terminal", NOON + 10, NOON + 30, 1180),)


def test_speeding_at_a_standstill_is_no_alert() -> None:
    assert alerts(of(told(0, alarms=SPEEDING))) == []


def test_an_impossible_alarm_word_raises_nothing() -> None:
    assert alerts(of(told(0, alarms=0xFFFF_FFFF, kmh=60))) == []


def test_vendor_bits_raise_nothing() -> None:
    assert alerts(of(told(0, alarms=7 << 15))) == []


def test_the_three_carriers_of_fatigue_make_one_alert() -> None:
    found = of(
        told(0, alarms=FATIGUE),
        told(10, abnormal=1),
        told(20, camera_event=1),
        told(30),
        told(40, camera_event=2),
        told(50),
    )
    assert alerts(found) == [("fatigue", "terminal", 0, 40)]


def test_a_single_camera_event_lasts_for_its_report() -> None:
    assert alerts(of(told(0, camera_event=3), told(10))) == [("fatigue", "terminal", 0, 10)]


def test_two_fixes_above_the_limit_are_speeding_from_the_first_on() -> None:
    found = of(told(0, kmh=101), told(10, kmh=103), told(20, kmh=112), told(30, kmh=100))
    assert found.episodes == (Episode("speeding", "platform", NOON, NOON + 30, 1120),)


def test_one_fix_above_the_limit_is_not() -> None:
    assert alerts(of(told(0, kmh=110), told(10, kmh=99), told(20, kmh=110))) == []


def test_two_fixes_ten_minutes_apart_are_no_pair() -> None:
    assert alerts(of(told(0, kmh=110), told(600, kmh=110))) == []
    assert alerts(of(told(0, kmh=110), told(599, kmh=110))) == [("speeding", "platform", 0, None)]


def test_what_is_inferred_ends_at_the_last_fix_that_showed_it_once_ten_minutes_pass() -> None:
    fast = [told(at, kmh=110) for at in (0, 10)]
    over, ongoing = ("speeding", "platform", 0, 10), ("speeding", "platform", 0, None)
    assert alerts(of(*fast)) == [ongoing]
    assert [(each.started_at - NOON, each.ended_at) for each in silenced(of(*fast))] == [(0, NOON + 10)]
    assert alerts(of(*fast, told(610, kmh=50))) == [over]
    assert alerts(of(*fast, told(610, kmh=110))) == [over]
    assert alerts(of(*fast, told(610, kmh=110), told(620, kmh=110))) == [over, ("speeding", "platform", 610, None)]
    assert alerts(of(*fast, told(609, kmh=110))) == [ongoing]


def test_a_terminals_alarm_outlasts_the_silence() -> None:
    assert [each.ended_at for each in silenced(of(told(0, alarms=EMERGENCY)))] == [None]


def test_the_platform_leaves_speeding_to_a_terminal_that_computes_it() -> None:
    found = of(told(0, kmh=110, alarms=SPEEDING), told(10, kmh=110, alarms=SPEEDING), told(20, kmh=90))
    assert alerts(found) == [("speeding", "terminal", 0, 20)]


def test_a_lower_limit_holds_for_its_vehicle() -> None:
    assert alerts(of(told(0, kmh=85), told(10, kmh=85), limit_kmh=80)) == [("speeding", "platform", 0, None)]


def driven(hours: float, *, start: int = 0, kmh: float = 80) -> list[Told]:
    return [told(at, north_m=at * kmh / 3.6, kmh=kmh) for at in range(start, start + int(hours * 3600) + 1, 60)]


def stood(minutes: int, *, start: int, north_m: float) -> list[Told]:
    return [told(at, north_m=north_m) for at in range(start, start + minutes * 60 + 1, 60)]


def test_after_three_and_a_half_hours_a_warning_and_after_four_fatigue() -> None:
    assert alerts(of(*driven(5))) == [
        ("fatigue_warning", "platform", 12_660, 14_460),
        ("fatigue", "platform", 14_460, None),
    ]


def test_twenty_minutes_of_rest_end_fatigue_and_nineteen_do_not() -> None:
    drive = driven(4.5)
    end = drive[-1].fixed_at - NOON + 60
    north_m = end * 80 / 3.6
    assert alerts(of(*drive, *stood(19, start=end, north_m=north_m)))[-1][3] is None
    assert alerts(of(*drive, *stood(20, start=end, north_m=north_m)))[-1][3] == end + 1200


def test_a_gap_in_the_data_is_neither_driving_nor_rest() -> None:
    first = driven(2)
    later = [told(at, north_m=160_000 + (at - 10_000) * 22.2, kmh=80) for at in range(10_000, 10_000 + 5700, 60)]
    found = of(*first, *later)
    assert sum(found.driving_s.values()) == 7200 + 5640
    assert alerts(found)[0][:3] == ("fatigue_warning", "platform", 10_000 + 5460)


@pytest.mark.parametrize("status", [POSITIONED_PARKED, ACC_ON | POSITIONED])
def test_a_night_at_one_place_is_rest_though_nothing_was_reported(status: int) -> None:
    drive = driven(3.8)
    end = drive[-1].fixed_at - NOON + 60
    north_m = end * 80 / 3.6
    parked = [told(at, north_m=north_m, status=status) for at in (end, end + 3600)]
    morning = [told(end + 3660 + at, north_m=north_m + at * 22.2, kmh=80) for at in range(0, 3600, 60)]
    assert alerts(of(*drive, *parked, *morning)) == [("fatigue_warning", "platform", 12_660, end)]


def test_a_parked_truck_that_reports_seldom_begins_no_fatigue() -> None:
    drive = driven(4.5)
    end = drive[-1].fixed_at - NOON + 60
    parked = [told(at, north_m=end * 80 / 3.6) for at in (end, end + 900, end + 1800)]
    assert alerts(of(*drive, *parked))[-1] == ("fatigue", "platform", 14_460, end)


def test_an_interval_over_midnight_is_cut_there() -> None:
    day = (NOON + CHINA_S) // DAY_S + 1
    midnight = day * DAY_S - CHINA_S - NOON
    found = of(told(midnight - 100, kmh=80), told(midnight + 140, north_m=5300, kmh=80))
    assert found.driving_s == {day - 1: 100, day: 140}


STEPS = st.lists(
    st.tuples(
        st.sampled_from((1, 60, 280, 300, 301, 599, 600, 601, 3600, 30_000)),
        st.sampled_from((0, 0, 300, 800, 800, 800, 1100)),
        st.integers(-3, 3),
        st.integers(0, 3),
    ),
    max_size=120,
)


def folded(reports: list[Told]) -> Vehicle:
    """Fold the reports as the service does."""
    vehicle, quality = Vehicle("v", 1000), Quality()
    for each in reports:
        fix = Fix("1", each.fixed_at, each.lon_e6, each.lat_e6, 0, each.speed_dkmh, 0, each.alarms, each.status, 0)
        accept(vehicle, fix, each.received_at, DEFAULT_PROFILE, quality)
    return vehicle


def as_episode(alert: Alert) -> Episode:
    return Episode(alert.kind, alert.source, alert.started_at, alert.ended_at, alert.peak_dkmh)


@given(STEPS)
def test_the_oracle_and_the_service_agree(steps: list[tuple[int, int, int, int]]) -> None:
    reports, at, north_m = [], 0, 0.0
    for step_s, speed_dkmh, drift, word in steps:
        at += step_s
        north_m += drift * 80 if speed_dkmh < 50 else step_s * speed_dkmh / 36
        reports.append(
            told(at, north_m=north_m, kmh=speed_dkmh / 10, alarms=word & EMERGENCY, status=word | POSITIONED)
        )
    vehicle, known = folded(reports), of(*reports)
    for online, episodes in ((True, list(known.episodes)), (False, silenced(known))):
        seen = {as_episode(alert) for alert in alerts_of(vehicle, online=online)}
        assert seen == set(episodes)
    today = driving_today(vehicle, vehicle.fixed_at)
    assert today.driving_s == known.driving_s.get(vehicle.day, 0)


def test_a_clock_seven_hours_behind_is_right_from_the_fourth_report_on() -> None:
    reports = [told(at - 7 * 3600, order=at, sent_at=at + 0.5) for at in range(0, 150, 30)]
    assert last_at(of(*reports[:3])) == 60 - 7 * 3600
    assert last_at(of(*reports[:4])) == 90
    assert of(*reports).clock_offset_s == -7 * 3600


def test_a_report_that_is_merely_late_teaches_nothing() -> None:
    reports = [told(at, sent_at=at + 1000 + at * 7) for at in range(0, 150, 30)]
    assert of(*reports).clock_offset_s == 0


def test_the_run_goes_on_from_what_the_service_knew_before() -> None:
    before = LastFix(NOON - 10, LON_E6, LAT_E6, 1050)
    assert last_at(of(told(-20), before=before)) is None
    assert alerts(of(told(0, kmh=104), told(10, kmh=90), before=before)) == [("speeding", "platform", -10, 10)]


def test_hours_at_the_wheel_before_the_run_are_unknown_until_a_rest() -> None:
    before = LastFix(NOON - 60, LON_E6, LAT_E6, 800)
    assert of(*driven(1), before=before).fatigue_known_from > NOON + 3600
    assert of(*stood(30, start=0, north_m=0), before=before).fatigue_known_from == NOON + 1200


def test_the_ledger_gives_reports_back_in_their_order_of_arrival() -> None:
    ledger = Ledger(limit=2)
    ledger.add(told(20, order=2, kmh=80.5, alarms=0xFFFF_FFFF))
    ledger.add(told(10, order=1))
    assert ledger.reports() == [told(10, order=1), told(20, order=2, kmh=80.5, alarms=0xFFFF_FFFF)]
    assert not ledger.full
    ledger.add(told(30))
    assert ledger.full
    assert len(ledger) == 2
