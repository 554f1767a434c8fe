"""Tests that a truck's place is the nearest town, with the right direction from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.places import REACH_M, Places
from domain.vehicle.fix import distance_m

WUHAN = ("武汉市", 114.305, 30.593)
HUANGSHI = ("黄石市", 115.039, 30.200)
MOHE = ("漠河市", 122.536, 52.972)
PLACES = Places([WUHAN, HUANGSHI, MOHE])


def test_a_truck_is_so_far_on_that_side_of_the_nearest_town() -> None:
    assert str(PLACES.nearest(114.4, 30.7)) == "武汉市东北方向15公里"
    assert str(PLACES.nearest(115.0, 30.3)) == "黄石市偏北方向12公里"


def test_in_a_town_no_direction_is_told() -> None:
    assert str(PLACES.nearest(114.31, 30.60)) == "武汉市附近"


@pytest.mark.parametrize(
    "east,north,direction",
    [
        (0, 1, "偏北"),
        (1, 1, "东北"),
        (1, 0, "偏东"),
        (1, -1, "东南"),
        (0, -1, "偏南"),
        (-1, -1, "西南"),
        (-1, 0, "偏西"),
        (-1, 1, "西北"),
    ],
)
def test_each_side_has_its_word(east: int, north: int, direction: str) -> None:
    place = Places([WUHAN]).nearest(WUHAN[1] + east * 0.2, WUHAN[2] + north * 0.2)
    assert place is not None
    assert place.direction == direction


def test_nothing_is_near_in_the_desert_or_at_the_edge_of_the_map() -> None:
    for lon, lat in ((85.0, 40.0), (180.0, 90.0), (-180.0, -90.0), (0.0, 0.0)):
        assert PLACES.nearest(lon, lat) is None


towns = st.lists(st.tuples(st.just("镇"), st.floats(110, 114), st.floats(48, 53)), max_size=12)


@given(towns, st.floats(110, 114), st.floats(48, 53))
def test_the_grid_finds_what_looking_at_all_finds(
    places: list[tuple[str, float, float]], lon: float, lat: float
) -> None:
    def away_m(place: tuple[str, float, float]) -> float:
        return distance_m(int(place[1] * 1e6), int(place[2] * 1e6), int(lon * 1e6), int(lat * 1e6))

    nearest_m = min(map(away_m, places), default=REACH_M * 2)
    found = Places(places).nearest(lon, lat)
    if found is None:
        assert nearest_m > REACH_M * 0.999
    else:
        assert found.distance_m == pytest.approx(nearest_m, rel=1e-3, abs=2)
        assert found.distance_m <= REACH_M
