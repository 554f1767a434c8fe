"""A terminal's wrong clock is learned only when it is steadily wrong by whole hours (R50)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.vehicle.fix import Fix
from domain.vehicle.terminal_clock import MAX_AHEAD, RIGHT, TerminalClock, keep_ahead, observe

T0 = 1_780_000_000


def after(skews: list[float], *, every_s: float = 30.0) -> TerminalClock:
    clock = RIGHT
    for i, skew_s in enumerate(skews):
        received_at = T0 + every_s * i
        clock = observe(clock, int(received_at + skew_s), received_at)
    return clock


@given(st.integers(-24, 24).filter(lambda hours: hours != 0), st.lists(st.floats(-80, 0), min_size=4, max_size=9))
def test_r50_any_steady_offset_of_whole_hours_is_learned(hours: int, delays: list[float]) -> None:
    assert after([hours * 3600 + delay for delay in delays]).offset_s == hours * 3600


@given(
    st.integers(-95, 95).filter(lambda quarters: quarters % 4 != 0), st.lists(st.floats(-80, 0), min_size=4, max_size=9)
)
def test_r50_a_platform_that_is_steadily_late_by_quarter_hours_teaches_nothing(
    quarters: int, delays: list[float]
) -> None:
    assert after([quarters * 900 + delay for delay in delays]).offset_s == 0


def test_r50_of_too_many_quarantined_reports_one_without_an_alarm_gives_way() -> None:
    clock = RIGHT
    for number in range(MAX_AHEAD + 2):
        alarm = 1 if number == 0 else 0
        clock = keep_ahead(clock, Fix("1", T0 + number, 0, 0, 0, 0, 0, alarm, 3, 0), T0)
    assert [fix.fixed_at - T0 for fix, _ in clock.ahead] == [0, *range(3, MAX_AHEAD + 2)]


def test_r50_three_reports_or_a_short_time_teach_nothing() -> None:
    assert after([-3600.0] * 3).offset_s == 0
    assert after([-3600.0] * 30, every_s=2).offset_s == 0
    assert after([-3600.0] * 46, every_s=2).offset_s == -3600


def test_r50_several_reports_of_one_batch_are_one_observation() -> None:
    assert after([-3600.0] * 50, every_s=0).reports == 1


def test_r50_a_right_report_clears_what_was_learned() -> None:
    assert after([-3600.0] * 9 + [-1.0]) == RIGHT


def test_r50_a_report_merely_late_keeps_what_was_learned() -> None:
    assert after([-3600.0] * 9 + [-4000.0]).offset_s == -3600
