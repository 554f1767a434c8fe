"""A vehicle makes of its reports what R32, R34, R50 and R52 say."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.vehicle import alarm_bits as bits
from domain.vehicle.fix import FLAG_BACKFILLED, Fix
from domain.vehicle.profile import DEFAULT_PROFILE
from domain.vehicle.quality import Outcome, Quality
from domain.vehicle.vehicle import Vehicle, accept, alerts_of, driving_today, is_alerting, is_online

T0 = 1_780_000_000
"""2026-05-28 04:26:40 in Shanghai."""
LON, LAT = 114_300_000, 30_600_000


def fix_at(
    at: int, *, speed_dkmh: int = 0, lon: int = LON, lat: int = LAT, alarms: int = 0, status: int = 3, flags: int = 0
) -> Fix:
    return Fix("13900000001", at, lon, lat, 30, speed_dkmh, 90, alarms, status, flags)


class Truck:
    """A vehicle, its counters, and reports that arrive ``late_s`` after their time."""

    def __init__(self, limit_kmh: int = 100) -> None:
        self.vehicle = Vehicle("v", limit_kmh * 10)
        self.quality = Quality()

    def take(self, fix: Fix, *, late_s: float = 1.0, received_at: float | None = None) -> Outcome:
        at = fix.fixed_at + late_s if received_at is None else received_at
        return accept(self.vehicle, fix, at, DEFAULT_PROFILE, self.quality)

    def drive(self, start: int, seconds: int, *, speed_dkmh: int = 800, every_s: int = 60) -> int:
        """Reports of a truck on a straight road; returns the time of the last."""
        newest = self.vehicle.newest
        lon = newest.lon_e6 if newest else LON
        for at in range(start, start + seconds + 1, every_s):
            metres = speed_dkmh / 36 * (at - start)
            self.take(fix_at(at, speed_dkmh=speed_dkmh, lon=lon + int(metres * 10.44)))
        return start + seconds // every_s * every_s

    def stand(self, start: int, seconds: int, *, every_s: int = 60) -> int:
        newest = self.vehicle.newest
        lon = newest.lon_e6 if newest else LON
        for at in range(start, start + seconds + 1, every_s):
            self.take(fix_at(at, lon=lon))
        return start + seconds // every_s * every_s

    @property
    def told(self) -> list[tuple[str, str, int, int | None]]:
        return self.told_at(self.vehicle.fixed_at)

    def told_at(self, now: float) -> list[tuple[str, str, int, int | None]]:
        """Kind, source, start and end of each alert, the oldest first."""
        alerts = reversed(alerts_of(self.vehicle, online=is_online(self.vehicle, now, DEFAULT_PROFILE)))
        return [(alert.kind, alert.source, alert.started_at, alert.ended_at) for alert in alerts]

    def speed(self, *times: int, speed_dkmh: int = 1200) -> None:
        """Reports above the limit, at places that a truck reaches in the time."""
        for at in times:
            self.take(fix_at(at, speed_dkmh=speed_dkmh, lon=LON + (at - T0) * 340))


# -- R32 ------------------------------------------------------------------------------------------------------------


def test_r32_offline_begins_at_exactly_ten_minutes() -> None:
    truck = Truck()
    truck.take(fix_at(T0))
    assert is_online(truck.vehicle, T0 + 599.9, DEFAULT_PROFILE)
    assert not is_online(truck.vehicle, T0 + 600, DEFAULT_PROFILE)


def test_r32_a_vehicle_never_heard_of_is_offline() -> None:
    assert not is_online(Vehicle("v"), T0, DEFAULT_PROFILE)


def test_r32_what_tells_no_place_does_not_keep_a_vehicle_online() -> None:
    truck = Truck()
    truck.take(fix_at(T0))
    assert truck.take(fix_at(T0 + 500, status=1)) is Outcome.NOT_POSITIONED
    assert truck.take(fix_at(T0 + 510, lon=0, lat=0)) is Outcome.NOT_POSITIONED
    assert truck.take(fix_at(T0 + 520, flags=FLAG_BACKFILLED)) is Outcome.BACKFILLED
    assert not is_online(truck.vehicle, T0 + 600, DEFAULT_PROFILE)
    assert truck.vehicle.fixed_at == T0


# -- R50 ------------------------------------------------------------------------------------------------------------


def test_r50_a_duplicate_and_an_older_fix_do_not_move_the_truck_back() -> None:
    truck = Truck()
    newest = fix_at(T0 + 30, lon=LON + 1000)
    truck.take(newest)
    assert truck.take(newest) is Outcome.STALE
    assert truck.take(fix_at(T0, alarms=bits.EMERGENCY), late_s=40) is Outcome.STALE
    assert truck.vehicle.newest == newest
    assert truck.told == []


def test_r50_a_second_report_of_the_same_second_still_brings_its_alarm() -> None:
    truck = Truck()
    truck.take(fix_at(T0))
    assert truck.take(fix_at(T0, alarms=bits.EMERGENCY)) is Outcome.NEWEST
    assert truck.take(fix_at(T0, alarms=bits.EMERGENCY)) is Outcome.STALE
    assert truck.told == [("emergency", "terminal", T0, None)]


def test_r50_a_fix_from_the_future_is_quarantined_and_eight_hours_are_named() -> None:
    truck = Truck()
    assert truck.take(fix_at(T0 + 300), received_at=T0) is Outcome.NEWEST
    assert truck.take(fix_at(T0 + 301), received_at=T0) is Outcome.FUTURE
    assert truck.take(fix_at(T0 + 8 * 3600 + 20), received_at=T0) is Outcome.TIME_ZONE_FAULT
    assert truck.take(fix_at(T0 + 3600, flags=FLAG_BACKFILLED), received_at=T0) is Outcome.FUTURE
    assert truck.vehicle.fixed_at == T0 + 300


def test_r50_a_steady_wrong_clock_is_learned_and_a_right_one_believed_at_once() -> None:
    truck = Truck()
    offset_s = -7 * 3600
    outcomes = [truck.take(fix_at(T0 + 30 * i + offset_s), received_at=T0 + 30 * i + 2) for i in range(8)]
    assert outcomes == [Outcome.NEWEST] * 8
    assert truck.vehicle.fixed_at == T0 + 210
    assert is_online(truck.vehicle, T0 + 212, DEFAULT_PROFILE)
    assert truck.quality.corrected_clocks == 1
    assert truck.take(fix_at(T0 + 240), received_at=T0 + 242) is Outcome.NEWEST
    assert truck.vehicle.fixed_at == T0 + 240
    assert truck.vehicle.terminal_clock is None


def test_r50_a_clock_eight_hours_ahead_is_quarantined_until_it_is_learned() -> None:
    truck = Truck()
    outcomes = [truck.take(fix_at(T0 + 30 * i + 8 * 3600), received_at=T0 + 30 * i + 1) for i in range(5)]
    assert outcomes == [Outcome.TIME_ZONE_FAULT] * 3 + [Outcome.NEWEST] * 2
    assert truck.vehicle.fixed_at == T0 + 120


def test_r50_a_burst_of_stored_reports_teaches_no_clock() -> None:
    truck = Truck()
    for i in range(20):
        truck.take(fix_at(T0 - 7200 + i), received_at=T0 + 0.01 * i)
    assert truck.vehicle.fixed_at == T0 - 7200 + 19


def test_r50_a_jump_no_truck_can_drive_is_not_shown_and_counts_as_drift() -> None:
    truck = Truck()
    truck.take(fix_at(T0))
    assert truck.take(fix_at(T0 + 30, lon=LON + 1_000_000)) is Outcome.IMPLAUSIBLE
    assert truck.vehicle.fixed_at == T0
    assert truck.quality.drift_rate(10) == 0.1
    assert truck.take(fix_at(T0 + 60, lon=LON + 5000)) is Outcome.NEWEST


def test_r50_impossible_fixes_that_agree_show_that_the_first_one_was_wrong() -> None:
    truck = Truck()
    truck.take(fix_at(T0, lon=LON + 20_000_000))
    outcomes = [truck.take(fix_at(T0 + 30 * i, lon=LON + 3000 * i)) for i in range(1, 7)]
    assert outcomes == [Outcome.IMPLAUSIBLE] * 4 + [Outcome.NEWEST] * 2


def test_r50_off_the_globe_is_implausible() -> None:
    truck = Truck()
    assert truck.take(fix_at(T0, lat=114_000_000)) is Outcome.IMPLAUSIBLE
    assert truck.vehicle.newest is None


def test_r50_an_alarm_word_that_cannot_be_true_raises_nothing_and_is_counted() -> None:
    truck = Truck()
    truck.take(fix_at(T0, alarms=0xFFFF_FFFF, speed_dkmh=500))
    truck.take(fix_at(T0 + 30, alarms=bits.SPEEDING, speed_dkmh=0))
    assert truck.told == []
    assert (truck.quality.implausible_alarm_words, truck.quality.speeding_at_standstill) == (1, 1)


def test_r50_a_speeding_bit_that_is_stuck_at_standstill_does_not_silence_the_platform_s_own_rule() -> None:
    truck = Truck()
    truck.take(fix_at(T0, alarms=bits.SPEEDING, speed_dkmh=0))
    for i in (1, 2, 3):
        truck.take(fix_at(T0 + 30 * i, speed_dkmh=1100, lon=LON + 9000 * i))
    assert [(kind, source) for kind, source, _, _ in truck.told] == [("speeding", "platform")]


def test_r50_a_backfilled_fix_is_kept_once_and_moves_nothing() -> None:
    truck = Truck()
    truck.take(fix_at(T0))
    stored = fix_at(T0 - 600, flags=FLAG_BACKFILLED, alarms=bits.EMERGENCY)
    assert truck.take(stored, received_at=T0 + 1) is Outcome.BACKFILLED
    assert truck.take(stored, received_at=T0 + 9) is Outcome.STALE
    assert truck.vehicle.fixed_at == T0
    assert truck.told == []


@given(st.lists(st.integers(0, 3600), min_size=1, max_size=12, unique=True), st.randoms(use_true_random=False))
def test_r50_whatever_order_fixes_arrive_in_the_newest_wins(times: list[int], order: random.Random) -> None:
    fixes = [fix_at(T0 + at, lon=LON + at) for at in times]
    order.shuffle(fixes)
    truck = Truck()
    for fix in fixes:
        truck.take(fix, received_at=T0 + 3600)
    assert truck.vehicle.newest is not None
    assert truck.vehicle.newest.fixed_at == T0 + max(times) or truck.quality.drifting_vehicles


# -- R34: episodes --------------------------------------------------------------------------------------------------


def test_r34_one_continuous_alarm_is_one_alert_with_its_peak() -> None:
    truck = Truck()
    for i, speed in enumerate((900, 1050, 1120, 1080)):
        truck.take(fix_at(T0 + 30 * i, speed_dkmh=speed, lon=LON + 8000 * i, alarms=bits.SPEEDING if i else 0))
    truck.take(fix_at(T0 + 120, speed_dkmh=900, lon=LON + 32_000))
    (alert,) = alerts_of(truck.vehicle, online=True)
    assert (alert.started_at, alert.ended_at, alert.speed_dkmh, alert.peak_dkmh) == (T0 + 30, T0 + 120, 1050, 1120)
    assert alert.lon_e6 == LON + 8000
    assert alert.limit_kmh == 100


def test_r34_an_alarm_survives_a_silence_and_a_report_without_position() -> None:
    truck = Truck()
    truck.take(fix_at(T0, alarms=bits.EMERGENCY))
    truck.take(fix_at(T0 + 4000, alarms=bits.EMERGENCY, status=1))
    assert truck.told == [("emergency", "terminal", T0, None)]
    truck.take(fix_at(T0 + 4030, status=1))
    assert truck.told == [("emergency", "terminal", T0, T0 + 4030)]


def test_an_alert_without_a_position_carries_the_last_known_one_or_none() -> None:
    lost, blank = Truck(), Truck()
    lost.take(fix_at(T0))
    for truck in (lost, blank):
        truck.take(fix_at(T0 + 30, lon=0, lat=0, status=1, alarms=bits.COLLISION))
    assert [alert.lon_e6 for alert in alerts_of(lost.vehicle, online=True)] == [LON]
    assert [alert.lon_e6 for alert in alerts_of(blank.vehicle, online=True)] == [None]


def test_r52_three_carriers_of_fatigue_are_one_alert() -> None:
    truck = Truck()
    camera = bits.CAMERA_FATIGUE
    words = [bits.FATIGUE, bits.FATIGUE | bits.ITEM_FATIGUE, camera | camera << bits.LATCH_SHIFT, 0]
    for i, word in enumerate([*words, camera << bits.LATCH_SHIFT]):
        truck.take(fix_at(T0 + 30 * i, alarms=word))
    assert truck.told == [("fatigue", "terminal", T0, T0 + 120)]


def test_a_camera_s_end_in_the_same_second_as_another_report_ends_it() -> None:
    truck = Truck()
    camera = bits.CAMERA_FATIGUE
    truck.take(fix_at(T0, alarms=camera | camera << bits.LATCH_SHIFT))
    truck.take(fix_at(T0 + 30))
    truck.take(fix_at(T0 + 30, alarms=camera << bits.LATCH_SHIFT))
    assert truck.told == [("fatigue", "terminal", T0, T0 + 30)]


def test_a_camera_event_without_start_and_end_lasts_one_report() -> None:
    truck = Truck()
    for i, word in enumerate((bits.CAMERA_PHONE, 0)):
        truck.take(fix_at(T0 + 30 * i, alarms=word))
    assert truck.told == [("phone_use", "terminal", T0, T0 + 30)]


# -- R52: the platform's own rules ----------------------------------------------------------------------------------


def test_r52_speeding_needs_two_fixes_in_a_row_above_the_limit() -> None:
    truck = Truck(limit_kmh=90)
    for i, speed in enumerate((950, 900, 910, 905, 990, 900)):
        truck.take(fix_at(T0 + 30 * i, speed_dkmh=speed, lon=LON + 8000 * i))
    (alert,) = alerts_of(truck.vehicle, online=True)
    assert (alert.source, alert.started_at, alert.ended_at) == ("platform", T0 + 60, T0 + 150)
    assert (alert.speed_dkmh, alert.peak_dkmh, alert.limit_kmh) == (910, 990, 90)


def test_r52_a_terminal_that_tells_speeding_itself_is_not_judged_by_the_platform() -> None:
    truck = Truck()
    truck.take(fix_at(T0, alarms=bits.SPEEDING_WARNING, speed_dkmh=990))
    for i in range(1, 4):
        truck.take(fix_at(T0 + 30 * i, speed_dkmh=1100, lon=LON + 9000 * i))
    assert [kind for kind, source, _, _ in truck.told if source == "platform"] == []


def test_r52_fatigue_is_warned_of_after_three_and_a_half_hours_and_told_after_four() -> None:
    truck = Truck()
    end = truck.drive(T0, 4 * 3600 + 600)
    assert truck.told == [
        ("fatigue_warning", "platform", T0 + 12_660, T0 + 14_460),
        ("fatigue", "platform", T0 + 14_460, None),
    ]
    # The interval up to the first standing fix was still driving; rest runs from there.
    truck.stand(end + 60, 25 * 60)
    assert truck.told[-1] == ("fatigue", "platform", T0 + 14_460, end + 60 + 1200)
    assert truck.vehicle.driving_s == 0


def test_r52_a_stop_shorter_than_twenty_minutes_is_no_rest() -> None:
    truck = Truck()
    at = truck.drive(T0, 2 * 3600)
    at = truck.stand(at + 60, 18 * 60)
    truck.drive(at + 60, 2 * 3600)
    assert truck.vehicle.driving_s > 14_400 - 120


def test_r52_no_data_is_neither_driving_nor_rest() -> None:
    truck = Truck()
    at = truck.drive(T0, 3600)
    before = truck.vehicle.driving_s
    at = truck.drive(at + 3600, 3600)
    assert truck.vehicle.driving_s == before + 3600


# -- R52: silence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [2, 3])
def test_r52_a_truck_that_stands_where_it_fell_silent_has_rested_whatever_its_engine_bit_said(status: int) -> None:
    """The main switch cuts the terminal's power before it can tell that the engine is off."""
    truck = Truck()
    at = truck.drive(T0, 4 * 3600 - 600)
    truck.stand(at + 60, 60)
    assert truck.told == [("fatigue_warning", "platform", T0 + 12_660, None)]
    newest = truck.vehicle.newest
    assert newest is not None
    woken = at + 120 + 9 * 3600
    truck.take(fix_at(woken, lon=newest.lon_e6 + 1900, status=status))  # 182 m of drift.
    assert (truck.vehicle.driving_s, truck.vehicle.rest_s) == (0, 60 + 9 * 3600)
    truck.drive(woken + 60, 3600)
    assert truck.told == [("fatigue_warning", "platform", T0 + 12_660, at + 120)]


def moved_while_silent(truck: Truck, at: int) -> None:
    newest = truck.vehicle.newest
    assert newest is not None
    truck.take(fix_at(at, lon=newest.lon_e6 + 2500))


def woke_on_the_move(truck: Truck, at: int) -> None:
    newest = truck.vehicle.newest
    assert newest is not None
    truck.take(fix_at(at, lon=newest.lon_e6 + 100, speed_dkmh=200))


def was_believed_elsewhere(truck: Truck, at: int) -> None:
    """The place before was wrong, as five fixes that agree have shown: nothing is known of the silence."""
    for number in range(5):
        truck.take(fix_at(at + number, lon=LON + 30_000_000))


@pytest.mark.parametrize("wakes", [moved_while_silent, woke_on_the_move, was_believed_elsewhere])
def test_r52_a_silence_that_is_no_standing_is_no_rest(wakes: Callable[[Truck, int], None]) -> None:
    truck = Truck()
    at = truck.drive(T0, 3600)
    at = truck.stand(at + 60, 15 * 60)
    before_s = truck.vehicle.driving_s
    wakes(truck, at + 3600)
    assert truck.vehicle.driving_s == before_s
    assert truck.vehicle.rest_s == 0


def test_r52_two_stops_with_a_move_in_between_are_not_one_rest_though_the_move_was_not_seen() -> None:
    truck = Truck()
    at = truck.drive(T0, 3600)
    before_s = truck.vehicle.driving_s
    for _ in range(3):
        at = truck.stand(at + 60, 15 * 60)
        at += 600
        moved_while_silent(truck, at)
    assert truck.vehicle.driving_s > before_s - 120


def test_r52_a_stop_before_a_gap_does_not_count_after_it_when_the_truck_had_driven_on() -> None:
    truck = Truck()
    at = truck.drive(T0, 3600)
    at = truck.stand(at + 60, 15 * 60)
    woke_on_the_move(truck, at + 60)
    moved_while_silent(truck, at + 600)
    truck.stand(at + 660, 10 * 60)
    assert truck.vehicle.driving_s >= 3600


@pytest.mark.parametrize("status", [2, 3])
@pytest.mark.parametrize("every_s", [60, 240, 600, 1800])
def test_r52_a_parked_truck_collects_no_kilometres_from_drift(every_s: int, status: int) -> None:
    truck = Truck()
    noise = random.Random(7)
    for number in range(90):
        lon = LON + noise.randrange(-900, 900)
        truck.take(fix_at(T0 + number * every_s, lon=lon, status=status))
    today = driving_today(truck.vehicle, truck.vehicle.fixed_at)
    assert (today.distance_m, today.driving_s) == (0, 0)
    assert (truck.quality.distance_m, truck.quality.gap_distance_m) == (0, 0)


def test_r52_what_was_driven_in_a_gap_counts_as_distance() -> None:
    truck = Truck()
    truck.take(fix_at(T0))
    truck.take(fix_at(T0 + 600, lon=LON + 100_000))
    assert abs(driving_today(truck.vehicle, T0 + 600).distance_m - 9_571) < 10


def test_r52_what_the_platform_inferred_ends_at_the_last_fix_that_showed_it_once_ten_minutes_pass() -> None:
    truck = Truck()
    truck.speed(T0, T0 + 30, T0 + 60)
    ongoing, over = ("speeding", "platform", T0, None), ("speeding", "platform", T0, T0 + 60)
    assert truck.told_at(T0 + 659.9) == [ongoing]
    assert is_alerting(truck.vehicle, online=True)
    for later in (T0 + 660, T0 + 3 * 86_400):
        assert truck.told_at(later) == [over]
    assert not is_alerting(truck.vehicle, online=False)
    truck.speed(T0 + 700)
    assert truck.told == [over]  # One fix is no speeding: the two before are too long ago.
    truck.speed(T0 + 730)
    assert truck.told == [over, ("speeding", "platform", T0 + 700, None)]


def test_r52_a_fix_below_the_limit_after_ten_minutes_is_not_the_end_either() -> None:
    truck = Truck()
    truck.speed(T0, T0 + 30)
    truck.speed(T0 + 630, speed_dkmh=500)
    assert truck.told == [("speeding", "platform", T0, T0 + 30)]


def test_r52_a_late_report_that_shows_it_within_ten_minutes_belongs_to_the_same_alert() -> None:
    """Order and time of arrival change nothing: the state does not depend on who has looked meanwhile."""
    in_time, late = Truck(), Truck()
    for truck, late_s in ((in_time, 1.0), (late, 430.0)):
        truck.speed(T0, T0 + 30)
        assert truck.told_at(T0 + 640)[0][3] == T0 + 30
        truck.take(fix_at(T0 + 400, speed_dkmh=1200, lon=LON + 136_000), late_s=late_s)
        assert truck.told == [("speeding", "platform", T0, None)]
    assert in_time.vehicle.ongoing == late.vehicle.ongoing


def test_r52_fatigue_ends_in_the_silence_too_and_goes_on_as_another_alert() -> None:
    truck = Truck()
    end = truck.drive(T0, 4 * 3600 + 600)
    assert truck.told_at(end + 600)[-1] == ("fatigue", "platform", T0 + 14_460, end)
    truck.take(fix_at(end + 3600, speed_dkmh=800, lon=LON + 5_000_000))
    assert truck.told[-2:] == [
        ("fatigue", "platform", T0 + 14_460, end),
        ("fatigue", "platform", end + 3600, None),
    ]


def test_r52_no_fatigue_begins_while_the_truck_stands() -> None:
    """A parked truck that reports every quarter of an hour: its silences end the alert, and it is on its way to a rest."""
    truck = Truck()
    end = truck.drive(T0, 4 * 3600 + 600)
    over = ("fatigue", "platform", T0 + 14_460, end + 60)
    truck.stand(end + 60, 1800, every_s=900)
    assert truck.told[-1] == over


def test_r34_a_terminals_own_alarm_goes_on_through_a_silence() -> None:
    truck = Truck()
    truck.take(fix_at(T0, alarms=bits.EMERGENCY))
    assert truck.told_at(T0 + 3 * 86_400) == [("emergency", "terminal", T0, None)]
    assert is_alerting(truck.vehicle, online=False)


# -- today ----------------------------------------------------------------------------------------------------------

MIDNIGHT = T0 - (T0 + 28_800) % 86_400 + 86_400


@pytest.mark.parametrize("every_s", [60, 70, 290])
def test_r52_todays_figures_hold_todays_part_only(every_s: int) -> None:
    truck = Truck()
    last = truck.drive(MIDNIGHT - 3600, 3600 + 1800, every_s=every_s)
    today = driving_today(truck.vehicle, last)
    assert today.driving_s == today.longest_stint_s == last - MIDNIGHT
    assert abs(today.distance_m / (today.driving_s * 800 / 36) - 1) < 0.001
    assert driving_today(truck.vehicle, MIDNIGHT + 86_400) == (0, 0, 0, 0)


def test_r52_a_read_after_midnight_shows_nothing_of_yesterday_before_the_first_fix_of_the_day() -> None:
    truck = Truck()
    truck.drive(MIDNIGHT - 3600, 3540)
    assert driving_today(truck.vehicle, MIDNIGHT - 1).driving_s == 3540
    assert driving_today(truck.vehicle, MIDNIGHT) == (0, 0, 0, 0)


def test_r52_a_gap_over_midnight_is_cut_there() -> None:
    truck = Truck()
    truck.take(fix_at(MIDNIGHT - 3600))
    truck.take(fix_at(MIDNIGHT + 1800, lon=LON + 900_000))
    assert abs(driving_today(truck.vehicle, MIDNIGHT + 1800).distance_m - 86_140 / 3) < 50


def test_r52_the_longest_stint_of_today_may_be_an_earlier_one_and_only_its_part_of_today_counts() -> None:
    truck = Truck()
    end = truck.drive(MIDNIGHT - 3 * 3600, 5 * 3600)
    end = truck.stand(end + 60, 1800)
    end = truck.drive(end + 60, 1800)
    assert driving_today(truck.vehicle, end).longest_stint_s == 2 * 3600 + 60


def test_r52_an_alert_that_began_before_midnight_is_not_counted_today() -> None:
    truck = Truck()
    truck.take(fix_at(MIDNIGHT - 20, speed_dkmh=1200))
    truck.take(fix_at(MIDNIGHT + 10, speed_dkmh=1200, lon=LON + 9000))
    assert truck.told == [("speeding", "platform", MIDNIGHT - 20, None)]
    assert driving_today(truck.vehicle, MIDNIGHT + 10).alert_count == 0
    truck.take(fix_at(MIDNIGHT + 40, alarms=bits.EMERGENCY, lon=LON + 9000))
    assert driving_today(truck.vehicle, MIDNIGHT + 40).alert_count == 1


def test_r52_a_day_that_an_alarm_without_a_position_has_begun_goes_on_with_late_fixes() -> None:
    truck = Truck()
    truck.drive(MIDNIGHT - 600, 540)
    newest = truck.vehicle.newest
    assert newest is not None
    truck.take(fix_at(MIDNIGHT + 30, alarms=bits.EMERGENCY, status=1))
    for at in (MIDNIGHT - 30, MIDNIGHT + 20, MIDNIGHT + 50):
        truck.take(
            fix_at(at, speed_dkmh=800, lon=newest.lon_e6 + (at - MIDNIGHT + 60) * 232), received_at=MIDNIGHT + 60
        )
    today = driving_today(truck.vehicle, MIDNIGHT + 60)
    assert (today.driving_s, today.longest_stint_s, today.alert_count) == (50, 50, 1)
    assert abs(today.distance_m - 50 * 800 / 36) < 5


def test_track_completeness_is_the_share_of_distance_that_fixes_cover() -> None:
    truck = Truck()
    truck.drive(T0, 600)
    newest = truck.vehicle.newest
    assert newest is not None
    truck.take(fix_at(T0 + 1200, speed_dkmh=800, lon=newest.lon_e6 + 139_200))
    completeness = truck.quality.track_completeness
    assert completeness is not None
    assert abs(completeness - 0.5) < 0.01


def test_a_failing_report_leaves_the_vehicle_whole() -> None:
    truck = Truck()
    truck.take(fix_at(T0))
    before = {name: getattr(truck.vehicle, name) for name in Vehicle.__slots__}
    broken = fix_at(T0 + 30)._replace(lon_e6=None, alarms=bits.EMERGENCY)  # type: ignore[arg-type]  # that is the point
    try:
        truck.take(broken)
    except TypeError:
        pass
    else:
        raise AssertionError("a fix without a longitude was folded")
    assert {name: getattr(truck.vehicle, name) for name in Vehicle.__slots__} == before


@given(st.lists(st.tuples(st.integers(1, 900), st.integers(0, 1200), st.sampled_from((0, 1, 2, 4, 6))), max_size=60))
def test_alerts_of_one_kind_and_source_never_overlap(steps: list[tuple[int, int, int]]) -> None:
    truck = Truck()
    at = T0
    seen = {}
    for step_s, speed, word in steps:
        at += step_s
        truck.take(fix_at(at, speed_dkmh=speed, alarms=word))
        seen.update({alert.id: alert for alert in alerts_of(truck.vehicle, online=True)})
    by_kind: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for alert in seen.values():
        by_kind.setdefault((alert.kind, alert.source), []).append((alert.started_at, alert.ended_at or at + 1))
    for spans in by_kind.values():
        for (_, ended), (started, _) in itertools.pairwise(sorted(spans)):
            assert ended <= started
