"""The fleet bears witness of our own clock, and one terminal does not (R50)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from domain.vehicle.fix import FLAG_BACKFILLED, FLAG_DOUBTED, Fix
from domain.vehicle.fleet_clock import MAX_SHOWING, SHOWN_FOR_S, FleetClock

T0 = 1_780_000_000
HOUR_S = 3600


def report(number: int, at: float, flags: int = 0) -> Fix:
    return Fix(str(number), int(at), 114_300_000, 30_600_000, 20, 600, 90, 0, 3, flags)


def marked(fixes: Sequence[Fix]) -> list[str]:
    return [fix.terminal for fix in fixes if fix.flags & FLAG_DOUBTED]


def test_r50_right_reports_pass_as_they_are() -> None:
    fixes = [report(number, T0 - number) for number in range(300)]
    assert FleetClock().mark(fixes, T0, machine_ahead_s=0.0, online=300) is fixes
    assert FleetClock().mark([], T0, machine_ahead_s=0.0, online=300) == []


@pytest.mark.parametrize("offset_s", [-8 * HOUR_S, HOUR_S, 20 * 60])
def test_r50_an_offset_that_a_tenth_of_the_fleet_shows_at_once_is_ours(offset_s: int) -> None:
    clock = FleetClock()
    first = clock.mark([report(n, T0 + offset_s) for n in range(9)], T0, machine_ahead_s=0.0, online=100)
    assert marked(first) == []
    assert clock.ahead_s(100) is None
    more = [report(n, T0 + 30 + offset_s) for n in range(8, 12)]
    assert marked(clock.mark(more, T0 + 30, machine_ahead_s=0.0, online=100)) == ["8", "9", "10", "11"]
    assert clock.ahead_s(100) == offset_s


def test_r50_one_vehicle_alone_is_no_fleet() -> None:
    clock = FleetClock()
    for n in range(20):
        assert marked(clock.mark([report(1, T0 + n + HOUR_S)], T0 + n, machine_ahead_s=0.0, online=1)) == []


def test_r50_vehicles_of_different_offsets_bear_witness_of_nothing() -> None:
    clock = FleetClock()
    fixes = [report(n, T0 - n * 600) for n in range(1, 10)]
    assert marked(clock.mark(fixes, T0, machine_ahead_s=0.0, online=9)) == []


def test_r50_an_offset_is_forgotten_with_a_right_report_and_after_ten_minutes() -> None:
    clock = FleetClock()
    clock.mark([report(1, T0 + HOUR_S), report(2, T0 + HOUR_S)], T0, machine_ahead_s=0.0, online=2)
    assert clock.ahead_s(2) == HOUR_S
    clock.mark([report(1, T0 + 1)], T0 + 1, machine_ahead_s=0.0, online=2)
    assert clock.ahead_s(2) is None
    later = T0 + SHOWN_FOR_S + 1
    assert marked(clock.mark([report(3, later + HOUR_S)], later, machine_ahead_s=0.0, online=2)) == []


def test_what_is_remembered_of_the_fleet_is_bounded() -> None:
    clock = FleetClock()
    clock.mark([report(n, T0 - HOUR_S) for n in range(MAX_SHOWING + 10)], T0, machine_ahead_s=0.0, online=1 << 40)
    assert len(clock._showing) == MAX_SHOWING


def test_r50_after_a_step_every_report_that_does_not_agree_with_ours_is_marked() -> None:
    clock = FleetClock()
    fixes = [report(1, T0), report(2, T0 + 8 * HOUR_S), report(3, T0 - HOUR_S), report(4, T0 - HOUR_S, FLAG_BACKFILLED)]
    assert marked(clock.mark(fixes, T0, machine_ahead_s=8.0 * HOUR_S, online=4)) == ["2", "3"]


@pytest.mark.parametrize("step_s", [-HOUR_S, 90, 8 * HOUR_S])
@pytest.mark.parametrize("machine_is_right", [True, False])
def test_r50_three_vehicles_that_agree_say_which_clock_is_right(step_s: int, *, machine_is_right: bool) -> None:
    clock = FleetClock()
    for n in range(3):
        assert clock.says == (None if machine_is_right or not n else "ours")
        at = T0 - 3 * n + step_s * machine_is_right
        clock.mark([report(n, at)], T0, machine_ahead_s=step_s, online=3)
    said = clock.says
    clock.begin_vote()
    assert (said, clock.says) == ("machine" if machine_is_right else "ours", None)


def test_r50_the_majority_is_believed() -> None:
    clock = FleetClock()
    for n in range(10):
        clock.mark([report(n, T0 + (n % 2) * HOUR_S)], T0, machine_ahead_s=HOUR_S, online=10)
    before = clock.says
    clock.mark([report(10, T0 + HOUR_S)], T0, machine_ahead_s=HOUR_S, online=10)
    assert (before, clock.says) == ("ours", "machine")
