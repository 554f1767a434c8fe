"""Reports whose time does not agree with ours, whichever clock is wrong, are neither thrown away nor left in the way (R50)."""

from __future__ import annotations

import pytest

from domain.vehicle import alarm_bits as bits
from domain.vehicle.fix import FLAG_DOUBTED, Fix
from domain.vehicle.profile import DEFAULT_PROFILE
from domain.vehicle.quality import Outcome
from domain.vehicle.terminal_clock import TerminalClock
from domain.vehicle.vehicle import driving_today, is_online
from tests.domain.test_vehicle import T0, Truck, fix_at

HOUR_S = 3600
DAY_S = 86_400


def doubted(at: int, **more: int) -> Fix:
    return fix_at(at, flags=FLAG_DOUBTED, **more)


# -- our clock is known to be in doubt ------------------------------------------------------------------------------


def test_r50_while_our_clock_is_in_doubt_the_terminal_s_time_stands_and_teaches_nothing() -> None:
    truck = Truck()
    for behind_s in (-HOUR_S, 8 * HOUR_S):
        outcomes = [truck.take(doubted(T0 + 30 * i), received_at=T0 + 30 * i + behind_s) for i in range(10)]
        assert set(outcomes) <= {Outcome.NEWEST, Outcome.STALE}
    assert truck.vehicle.fixed_at == T0 + 270
    assert truck.vehicle.terminal_clock is None
    assert truck.quality.corrected_clocks == 0


def test_r50_what_was_learned_before_holds_while_our_clock_is_in_doubt() -> None:
    truck = Truck()
    for i in range(6):
        truck.take(fix_at(T0 + 30 * i - HOUR_S), received_at=T0 + 30 * i)
    truck.take(doubted(T0 + 180 - HOUR_S), received_at=T0 + 180 + DAY_S)
    assert truck.vehicle.fixed_at == T0 + 180
    assert truck.vehicle.terminal_clock is not None
    assert truck.vehicle.terminal_clock.offset_s == -HOUR_S


def test_r32_a_fix_that_ran_ahead_counts_from_when_it_was_received() -> None:
    truck = Truck()
    truck.take(doubted(T0 + HOUR_S), received_at=T0)
    assert is_online(truck.vehicle, T0 + 599, DEFAULT_PROFILE)
    assert not is_online(truck.vehicle, T0 + 600, DEFAULT_PROFILE)


# -- a state that lies ahead of now ---------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead_s", [HOUR_S, 8 * HOUR_S, 8 * DAY_S])
def test_r50_a_newest_fix_that_lies_ahead_of_now_gives_way_to_the_next_right_report(ahead_s: int) -> None:
    truck = Truck()
    truck.take(doubted(T0 + ahead_s, speed_dkmh=600), received_at=T0)
    assert truck.take(fix_at(T0 + 30, lon=114_304_000, speed_dkmh=600), received_at=T0 + 31) is Outcome.NEWEST
    assert truck.vehicle.fixed_at == T0 + 30
    assert is_online(truck.vehicle, T0 + 31, DEFAULT_PROFILE)
    assert truck.take(fix_at(T0 + 60, lon=114_308_000, speed_dkmh=600), received_at=T0 + 61) is Outcome.NEWEST
    assert driving_today(truck.vehicle, T0 + 61).driving_s > 0


def test_r50_a_wrong_report_does_not_push_a_state_away_that_lies_ahead_of_now() -> None:
    truck = Truck()
    truck.take(doubted(T0 + HOUR_S), received_at=T0)
    assert truck.take(fix_at(T0 - 2000), received_at=T0 + 30) is Outcome.STALE
    assert truck.vehicle.fixed_at == T0 + HOUR_S


def test_r50_an_emergency_that_was_dated_ahead_goes_on_and_is_put_into_its_time() -> None:
    truck = Truck()
    truck.take(fix_at(T0))
    truck.take(doubted(T0 + 30 + DAY_S, alarms=bits.EMERGENCY), received_at=T0 + 31)
    truck.take(doubted(T0 + 60 + DAY_S, alarms=bits.EMERGENCY), received_at=T0 + 61)
    (dated,) = truck.vehicle.ongoing
    truck.take(fix_at(T0 + 90, alarms=bits.EMERGENCY), received_at=T0 + 91)
    (alert,) = truck.vehicle.ongoing
    assert alert.id == dated.id
    assert alert.started_at == T0 + 30
    assert (truck.vehicle.unsaved or {})[alert.id] == alert
    truck.take(fix_at(T0 + 120), received_at=T0 + 121)
    assert truck.told == [("emergency", "terminal", T0 + 30, T0 + 120)]


def test_r50_an_emergency_that_began_and_ended_ahead_of_now_is_put_into_its_time() -> None:
    truck = Truck()
    truck.take(doubted(T0 + DAY_S, alarms=bits.EMERGENCY), received_at=T0 + 1)
    truck.take(doubted(T0 + DAY_S + 30), received_at=T0 + 31)
    truck.take(fix_at(T0 + 60), received_at=T0 + 61)
    assert truck.told == [("emergency", "terminal", T0, T0 + 30)]


def test_r50_a_report_without_a_place_that_was_dated_ahead_keeps_no_later_alarm_away() -> None:
    truck = Truck()
    truck.take(fix_at(T0))
    truck.take(doubted(T0 + 30 + DAY_S, status=1), received_at=T0 + 31)
    truck.take(fix_at(T0 + 60, alarms=bits.EMERGENCY), received_at=T0 + 61)
    assert truck.told == [("emergency", "terminal", T0 + 60, None)]


def test_r50_a_right_report_without_a_place_brings_its_alarm_although_the_state_lies_ahead() -> None:
    truck = Truck()
    truck.take(doubted(T0 + DAY_S), received_at=T0)
    assert truck.take(fix_at(T0 + 30, status=1, alarms=bits.EMERGENCY), received_at=T0 + 31) is Outcome.NOT_POSITIONED
    assert truck.told == [("emergency", "terminal", T0 + 30, None)]
    assert truck.take(fix_at(T0 + 60), received_at=T0 + 61) is Outcome.NEWEST


def test_r50_what_a_fast_clock_taught_is_undone_by_the_first_right_report() -> None:
    """Ours was 8 h ahead from the start, and one truck alone is no witness of that."""
    truck = Truck()
    for i in range(6):
        truck.take(fix_at(T0 + 30 * i, alarms=bits.EMERGENCY * (i == 5)), received_at=T0 + 30 * i + 8 * HOUR_S)
    assert truck.vehicle.fixed_at == T0 + 150 + 8 * HOUR_S
    truck.take(fix_at(T0 + 180, alarms=bits.EMERGENCY), received_at=T0 + 181)
    assert truck.vehicle.fixed_at == T0 + 180
    assert [(kind, ended) for kind, _, _, ended in truck.told] == [("emergency", None)]
    assert (
        T0 - 151 < truck.told[0][2] <= T0 + 150
    )  # To within five minutes: nothing says how long the truck was silent.


# -- quarantined reports are kept -----------------------------------------------------------------------------------


def test_r50_an_alarm_that_waited_in_quarantine_is_told_once_its_clock_is_learned() -> None:
    truck = Truck()
    for i in range(5):
        alarm = bits.EMERGENCY if i == 1 else 0
        truck.take(fix_at(T0 + 30 * i + 8 * HOUR_S, alarms=alarm), received_at=T0 + 30 * i + 1)
    assert truck.told == [("emergency", "terminal", T0 + 30, T0 + 60)]
    assert truck.vehicle.fixed_at == T0 + 120


def test_r50_an_alarm_quarantined_by_a_slow_clock_of_ours_is_told_once_that_is_right_again() -> None:
    truck = Truck()
    truck.take(fix_at(T0), received_at=T0 + 1)
    assert truck.take(fix_at(T0 + 30, alarms=bits.EMERGENCY), received_at=T0 + 31 - HOUR_S) is Outcome.FUTURE
    truck.take(fix_at(T0 + 60), received_at=T0 + 61)
    assert truck.told == [("emergency", "terminal", T0 + 30, T0 + 60)]
    assert truck.vehicle.terminal_clock is None


def test_r50_an_alarm_quarantined_before_our_clock_came_into_doubt_is_told_with_the_next_report() -> None:
    truck = Truck()
    truck.take(fix_at(T0, alarms=bits.EMERGENCY), received_at=T0 - HOUR_S)
    truck.take(doubted(T0 + 30), received_at=T0 + 30 - HOUR_S)
    assert truck.told == [("emergency", "terminal", T0, T0 + 30)]


def test_r50_an_alarm_in_quarantine_is_told_by_another_report_of_the_same_second() -> None:
    truck = Truck()
    truck.take(fix_at(T0, alarms=bits.EMERGENCY), received_at=T0 - HOUR_S)
    truck.take(doubted(T0), received_at=T0 + 1 - HOUR_S)
    assert truck.told == [("emergency", "terminal", T0, None)]


def test_r50_what_a_wrong_terminal_reported_ahead_is_dropped_once_it_is_right() -> None:
    truck = Truck()
    truck.take(fix_at(T0), received_at=T0 + 1)
    truck.take(fix_at(T0 + 30 + 8 * HOUR_S, alarms=bits.EMERGENCY), received_at=T0 + 31)
    truck.take(fix_at(T0 + 60), received_at=T0 + 61)
    assert (truck.vehicle.fixed_at, truck.told, truck.vehicle.terminal_clock) == (T0 + 60, [], None)


def test_r50_quarantined_reports_are_bounded() -> None:
    truck = Truck()
    for i in range(50):
        truck.take(fix_at(T0 + 30 * i + 1000), received_at=T0 + 30 * i)
    clock = truck.vehicle.terminal_clock
    assert isinstance(clock, TerminalClock)
    assert len(clock.ahead) == 8
