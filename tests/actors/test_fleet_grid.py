"""A view of the map shows the vehicles that are there, exactly or in clusters, without a walk through all of them."""

from __future__ import annotations

import asyncio

import pytest

from actors.vehicles import fleet_grid
from actors.vehicles.fleet_grid import COLUMNS, Box, FleetGrid
from domain.vehicle import alarm_bits as bits
from domain.vehicle.fix import Fix
from tests.actors.conftest import T0, House, fix_of

WUHAN = Box(114_000_000, 30_000_000, 115_000_000, 31_000_000)
CHINA = Box(73_000_000, 18_000_000, 135_000_000, 53_000_000)


def at(number: int, lon_e6: int, lat_e6: int = 30_600_000, *, seconds: int = 0, alarms: int = 0) -> Fix:
    return fix_of(f"1{number}", T0 + seconds, lon=lon_e6, alarms=alarms)._replace(lat_e6=lat_e6)


@pytest.fixture
def grid(house: House) -> FleetGrid:
    return FleetGrid(house.supervisor, house.fleet)


async def test_a_view_shows_the_vehicles_in_it(house: House, grid: FleetGrid) -> None:
    await house.report(at(1, 114_300_000), at(2, 115_000_001), at(3, 114_999_999, alarms=bits.EMERGENCY))
    assert await grid.sweep() == 3
    picture = grid.picture(WUHAN, limit=10)
    assert sorted((spot.key, spot.online, spot.alert) for spot in picture.spots) == [
        ("v11", True, False),
        ("v13", True, True),
    ]
    assert (picture.clusters, picture.total) == ((), 2)


async def test_positions_are_of_the_moment_though_the_sweep_is_old(house: House, grid: FleetGrid) -> None:
    await house.report(at(1, 113_999_000), at(2, 114_001_000))
    await grid.sweep()
    await house.clock.advance(700)
    await house.report(at(1, 114_001_000, seconds=600), at(2, 113_999_000, seconds=600))
    (spot,) = grid.picture(WUHAN, limit=10).spots
    assert (spot.key, spot.lon_e6, spot.online) == ("v11", 114_001_000, True)
    await house.clock.advance(600)
    assert [spot.online for spot in grid.picture(WUHAN, limit=10).spots] == [False]


async def test_r52_a_silent_truck_is_marked_for_its_own_alarm_and_not_for_what_the_platform_inferred(
    house: House, grid: FleetGrid
) -> None:
    fast = [at(1, 114_000_000 + 300 * i, seconds=i)._replace(speed_dkmh=1200) for i in range(2)]
    await house.report(*fast, at(2, 114_000_000, alarms=bits.EMERGENCY))
    for online in (True, False):
        await grid.sweep()
        assert {spot.key: spot.alert for spot in grid.picture(WUHAN, limit=10).spots} == {"v11": online, "v12": True}
        assert sum(cluster.alerts for cluster in grid.picture(WUHAN, limit=1).clusters) == 1 + online
        await house.clock.advance(600)


async def test_a_crowded_view_shows_clusters_that_count_everybody(house: House, grid: FleetGrid) -> None:
    vehicles = [at(100 + i, 114_000_000 + 9_000 * i, 30_000_000 + 9_000 * (i % 10)) for i in range(100)]
    await house.report(*vehicles, at(1, 116_000_000))
    await grid.sweep()
    for limit in (99, 10, 1):
        picture = grid.picture(WUHAN, limit=limit)
        assert picture.total == sum(cluster.vehicles for cluster in picture.clusters) == 100
        assert sum(cluster.online for cluster in picture.clusters) == 100
        assert all(WUHAN.holds(cluster.lon_e6, cluster.lat_e6) for cluster in picture.clusters)
        assert picture.spots == ()
    assert len(grid.picture(WUHAN, limit=100).spots) == 100


async def test_a_whole_country_is_counted_by_blocks(house: House, grid: FleetGrid) -> None:
    await house.report(*(at(100 + i, 100_000_000 + 200_000 * i) for i in range(100)))
    await grid.sweep()
    picture = grid.picture(CHINA, limit=10)
    assert picture.total == sum(cluster.vehicles for cluster in picture.clusters) == 100
    assert len(picture.clusters) <= COLUMNS * COLUMNS
    assert len(grid.picture(CHINA, limit=100).spots) == 100


async def test_a_vehicle_without_a_position_is_nowhere(house: House, grid: FleetGrid) -> None:
    await house.look("11")
    assert await grid.sweep() == 0
    assert list(grid.of(("v11", "v99"))) == []


async def test_a_sweep_rests_between_slices(house: House, grid: FleetGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_grid, "SLICE", 2)
    monkeypatch.setattr(fleet_grid, "REST_S", 0.0)
    await house.report(*(at(i, 114_000_000 + 100_000 * i) for i in range(10)))
    sweeping = asyncio.create_task(grid.sweep())
    await asyncio.sleep(0)
    assert not sweeping.done()
    await house.report(at(11, 114_000_000))  # The fleet grows meanwhile.
    assert await sweeping == 10
