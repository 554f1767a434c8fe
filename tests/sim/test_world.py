"""Tests that the roads lead where they should."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.world import Cover, Point, metres_between
from tests.sim.fakes import china

WORLD = china()
PLACES = {city.name: index for index, city in enumerate(WORLD.cities)}


def test_every_city_lies_in_china_and_is_named_once() -> None:
    assert len(PLACES) == len(WORLD.cities) >= 100
    assert all(73 < city.lon < 135 and 18 < city.lat < 54 for city in WORLD.cities)


def test_every_city_can_be_reached_from_beijing() -> None:
    unreachable = [city.name for city in WORLD.cities if WORLD.route(PLACES["北京"], PLACES[city.name]) is None]
    assert unreachable == []


@pytest.mark.parametrize(
    "origin,destination,road_km",
    [
        ("北京", "上海", 1210),
        ("北京", "广州", 2140),
        ("成都", "重庆", 300),
        ("沈阳", "大连", 390),
        ("西安", "兰州", 630),
    ],
)
def test_distances_are_those_of_the_real_motorways_within_a_fifth(origin: str, destination: str, road_km: int) -> None:
    route = WORLD.route(PLACES[origin], PLACES[destination])
    assert route is not None
    assert route.length_m / 1000 == pytest.approx(road_km, rel=0.2)


@given(st.integers(0, len(WORLD.cities) - 1), st.integers(0, len(WORLD.cities) - 1), st.floats(0, 1))
def test_a_hundred_metres_along_a_route_are_a_hundred_metres_in_the_direction_of_its_course(
    origin: int, destination: int, share: float
) -> None:
    route = WORLD.route(origin, destination)
    assert route is not None
    if route.length_m < 200:
        return
    at_m = share * (route.length_m - 100)
    here, there = route.at(at_m), route.at(at_m + 100)
    moved = metres_between(Point(here.lon, here.lat), Point(there.lon, there.lat))
    assert 85 <= moved <= 100.5
    assert 0 <= here.course_deg < 360


def test_a_route_and_its_return_are_the_same_road_driven_the_other_way() -> None:
    there = WORLD.route(PLACES["郑州"], PLACES["武汉"])
    back = WORLD.route(PLACES["武汉"], PLACES["郑州"])
    assert there is not None
    assert back is not None
    assert there.length_m == pytest.approx(back.length_m)
    out, home = there.at(100_000), back.at(back.length_m - 100_000)
    assert (out.lon, out.lat) == pytest.approx((home.lon, home.lat))
    assert (out.course_deg - home.course_deg) % 360 == pytest.approx(180)


def test_roads_bend_gently() -> None:
    for road in WORLD.roads:
        courses = [road.at(metres + 1).course_deg for metres in road.metres[:-1]]
        assert all(abs((b - a + 180) % 360 - 180) < 45 for a, b in pairwise(courses))


def test_tunnels_and_dead_zones_lie_in_order_within_their_road() -> None:
    stretches = [(road, stretch) for road in WORLD.roads for stretch in road.stretches]
    assert {stretch.cover for _, stretch in stretches} == {Cover.SHORT_TUNNEL, Cover.TUNNEL, Cover.DEAD_ZONE}
    assert all(0 < stretch.start_m < stretch.end_m <= road.length_m for road, stretch in stretches)
    assert all(a.end_m < b.start_m for road in WORLD.roads for a, b in pairwise(road.stretches))


def test_more_shade_means_more_tunnels_on_the_same_roads() -> None:
    dark = china(6.0)
    assert sum(len(road.stretches) for road in dark.roads) > 2 * sum(len(road.stretches) for road in WORLD.roads)
    assert [road.length_m for road in dark.roads] == [road.length_m for road in WORLD.roads]
