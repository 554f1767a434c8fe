"""Stints and distances are counted as they should be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.vehicle.driving import fatigue_kind, stint_after
from domain.vehicle.fix import distance_m
from domain.vehicle.profile import DEFAULT_PROFILE

INTERVALS = st.lists(st.tuples(st.integers(1, 300), st.booleans()), max_size=200)


def test_r52_the_thresholds_are_exceeded_not_met() -> None:
    assert fatigue_kind(12_600, DEFAULT_PROFILE) is None
    assert fatigue_kind(12_601, DEFAULT_PROFILE) == "fatigue_warning"
    assert fatigue_kind(14_400, DEFAULT_PROFILE) == "fatigue_warning"
    assert fatigue_kind(14_401, DEFAULT_PROFILE) == "fatigue"


@given(INTERVALS)
def test_r52_a_stint_is_the_driving_since_the_last_real_stop(intervals: list[tuple[int, bool]]) -> None:
    driving_s = rest_s = 0
    for interval_s, moving in intervals:
        driving_s, rest_s = stint_after(
            driving_s, rest_s, interval_s=interval_s, moving=moving, profile=DEFAULT_PROFILE
        )
    stop_s, stint_s = 0, 0
    for interval_s, moving in intervals:
        stop_s = 0 if moving else stop_s + interval_s
        stint_s = 0 if stop_s >= 1200 else stint_s + (interval_s if moving else 0)
    assert driving_s == stint_s


def test_a_degree_of_latitude_is_111_km_and_the_date_line_is_no_wall() -> None:
    assert abs(distance_m(0, 0, 0, 1_000_000) - 111_195) < 10
    assert distance_m(179_999_000, 0, -179_999_000, 0) < 250
