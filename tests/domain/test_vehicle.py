"""Does a vehicle make of its reports what R32, R34, R50 and R52 say?"""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from domain import alarm_bits as bits
from domain.fix import FLAG_BACKFILLED, Fix
from domain.profile import DEFAULT_PROFILE
from domain.quality import Outcome, Quality
from domain.vehicle import Vehicle, accept, alerts_of, driving_today, is_online

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
        alerts = reversed(alerts_of(self.vehicle))
        return [(alert.kind, alert.source, alert.started_at, alert.ended_at) for alert in alerts]


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
    (alert,) = alerts_of(truck.vehicle)
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
    assert [alert.lon_e6 for alert in alerts_of(lost.vehicle)] == [LON]
    assert [alert.lon_e6 for alert in alerts_of(blank.vehicle)] == [None]


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
    (alert,) = alerts_of(truck.vehicle)
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
    # A rest of 10 minutes, an hour of silence with the engine on, and 10 minutes more make the 20.
    at = truck.stand(at + 60, 600)
    truck.stand(at + 3600, 600)
    assert truck.vehicle.driving_s == 0


def test_r52_a_sleeping_terminal_at_one_place_has_rested() -> None:
    truck = Truck()
    at = truck.drive(T0, 3600)
    newest = truck.vehicle.newest
    assert newest is not None
    for sleep in (60, 3660, 7260):
        truck.take(fix_at(at + sleep, lon=newest.lon_e6 + 100, status=2))
    assert truck.vehicle.driving_s == 0


def test_the_day_s_summary_begins_anew_at_midnight_in_shanghai() -> None:
    truck = Truck()
    midnight = T0 - (T0 + 28_800) % 86_400 + 86_400
    truck.drive(midnight - 3600, 3600 + 1800)
    today = driving_today(truck.vehicle, midnight + 1800)
    assert today.driving_s == 1860  # The interval that ended at midnight belongs to the day in which it ended.
    assert abs(today.distance_m - 41_333) < 1500
    assert today.longest_stint_s == 5400
    assert driving_today(truck.vehicle, midnight + 86_400).driving_s == 0


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
        seen.update({alert.id: alert for alert in alerts_of(truck.vehicle)})
    by_kind: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for alert in seen.values():
        by_kind.setdefault((alert.kind, alert.source), []).append((alert.started_at, alert.ended_at or at + 1))
    for spans in by_kind.values():
        for (_, ended), (started, _) in itertools.pairwise(sorted(spans)):
            assert ended <= started
