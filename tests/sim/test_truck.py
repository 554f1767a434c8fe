"""Tests that a simulated truck lives a believable life, and the same life each time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.civil_time import DAY_S
from sim.habits import Driver, DriverMix, device
from sim.truck import ACC_ON, POSITIONED, SPEEDING, Truck
from sim.world import Cover, Point, metres_between
from tests.sim.fakes import NOON, china

ONLY_SPEEDING = DriverMix(relay=0, speeding=1, overlong=0)
ONLY_OVERLONG = DriverMix(relay=0, speeding=0, overlong=1)
seeds = st.integers(0, 2**32)
indexes = st.integers(0, 5000)


def truck(seed: int, index: int, mix: DriverMix | None = None) -> Truck:
    return Truck(china(), seed=seed, index=index, mix=mix or DriverMix(), period_s=10)


@given(seeds, indexes, st.integers(0, 10**7))
def test_the_same_seed_makes_the_same_report(seed: int, index: int, later_s: int) -> None:
    assert truck(seed, index).report(NOON + later_s) == truck(seed, index).report(NOON + later_s)


@given(seeds, indexes)
@settings(max_examples=30)
def test_a_day_and_night_of_driving_is_believable(seed: int, index: int) -> None:
    subject = truck(seed, index)
    motions = [subject.journey.at(NOON + minute * 60) for minute in range(2 * 24 * 60)]
    speeds = [motion.speed_kmh for motion in motions]
    assert max(speeds) < 125
    if subject.driver is not Driver.SPEEDING:
        assert max(speeds) <= subject.limit_kmh
    moving = [speed for speed in speeds if speed > 5]
    assert 0.15 < len(moving) / len(speeds) < 0.98
    assert 50 < sum(moving) / len(moving) < 95


@given(seeds, indexes, st.integers(0, 10**6))
@settings(max_examples=50)
def test_a_truck_moves_as_far_as_its_speed_says(seed: int, index: int, later_s: int) -> None:
    subject = truck(seed, index)
    steps = [subject.journey.at(NOON + later_s + second) for second in range(120)]
    for a, b in pairwise(steps):
        moved = metres_between(Point(a.lon, a.lat), Point(b.lon, b.lat))
        if b.driven_m < a.driven_m:
            continue  # the round trip begins again
        assert moved <= max(a.speed_kmh, b.speed_kmh) / 3.6 + 1.5
        assert abs(b.speed_kmh - a.speed_kmh) < 6


@given(seeds, indexes)
@settings(max_examples=30)
def test_a_round_trip_ends_where_it_began(seed: int, index: int) -> None:
    journey = truck(seed, index).journey
    end_of_round = NOON + journey.period_s - journey.phase_s(NOON)
    before, after = journey.at(end_of_round - 1), journey.at(end_of_round + 1)
    assert metres_between(Point(before.lon, before.lat), Point(after.lon, after.lat)) < 5
    assert before.speed_kmh < 3
    assert after.speed_kmh < 3


@given(seeds, indexes)
@settings(max_examples=30)
def test_gps_noise_is_a_matter_of_metres(seed: int, index: int) -> None:
    subject = truck(seed, index)
    for at in range(NOON, NOON + DAY_S, 3600):
        report, motion = subject.report(at), subject.journey.at(at)
        if motion.cover in (Cover.OPEN, Cover.DEAD_ZONE):
            seen = Point(report.lon_e6 / 1e6, report.lat_e6 / 1e6)
            assert metres_between(seen, Point(motion.lon, motion.lat)) < 10
            assert report.status & POSITIONED
        else:
            assert not report.status & POSITIONED
            assert report.speed_dkmh == 0


def test_speeding_drivers_speed_and_their_terminals_say_so_exactly_if_they_can() -> None:
    sped = {True: 0, False: 0}
    for index in range(30):
        subject = truck(3, index, ONLY_SPEEDING)
        for at in range(NOON, NOON + DAY_S, 60):
            report = subject.report(at)
            over = report.speed_dkmh > subject.limit_kmh * 10
            sped[subject.device.computes_speeding] += over
            assert bool(report.alarms & SPEEDING) == (over and subject.device.computes_speeding)
    assert all(sped.values())


def test_overlong_drivers_drive_for_more_than_four_hours_between_rests() -> None:
    longest = [max(end - start for start, end in truck(3, i, ONLY_OVERLONG).journey.stints()) for i in range(20)]
    assert sum(seconds > 4 * 3600 for seconds in longest) > 10


def test_careful_drivers_never_drive_for_four_hours() -> None:
    careful = DriverMix(relay=0, speeding=0, overlong=0)
    for index in range(20):
        assert all(end - start < 4 * 3600 for start, end in truck(3, index, careful).journey.stints())


def test_the_ignition_is_off_only_while_the_truck_stands() -> None:
    for index in range(20):
        subject = truck(5, index)
        reports = [subject.report(at) for at in range(NOON, NOON + DAY_S, 300)]
        assert all(report.speed_dkmh == 0 for report in reports if not report.status & ACC_ON)
        assert any(not report.status & ACC_ON for report in reports)


@given(seeds, indexes, st.integers(0, 10**6))
def test_due_times_form_a_grid_that_does_not_depend_on_when_one_asks(seed: int, index: int, later_s: int) -> None:
    subject = truck(seed, index)
    due = subject.next_due(NOON + later_s)
    assert NOON + later_s < due <= NOON + later_s + 10
    assert subject.next_due(due) == due + 10
    assert subject.next_due(due - 0.5) == due


def test_the_terminal_of_a_truck_does_not_depend_on_who_drives() -> None:
    assert truck(1, 7, ONLY_SPEEDING).device == truck(1, 7, ONLY_OVERLONG).device == device(1, 7)
