"""Tests that a truck stands on the Chinese map where the published formula puts it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.coordinates import gcj02_from_wgs84

METRE_DEG = 1e-5
inside = st.tuples(st.floats(73.5, 135.0), st.floats(3.9, 53.5))


def test_a_widely_published_pair_comes_out() -> None:
    assert gcj02_from_wgs84(116.404, 39.915) == pytest.approx((116.41024449916938, 39.91640428150164), abs=1e-9)


@given(inside)
def test_the_shift_is_some_hundred_metres_and_never_a_kilometre(point: tuple[float, float]) -> None:
    shifted = gcj02_from_wgs84(*point)
    assert 0 < abs(shifted.lon - point[0]) + abs(shifted.lat - point[1]) < 0.02


@pytest.mark.parametrize(
    "point", [(2.35, 48.85), (-74.0, 40.7), (151.2, -33.9), (180.0, 90.0), (-180.0, -90.0), (0, 0)]
)
def test_outside_china_nothing_is_shifted(point: tuple[float, float]) -> None:
    assert gcj02_from_wgs84(*point) == point
