"""The fleet on a map: a grid of rough places, and exact positions when asked.

The fleet may have millions of vehicles: no question walks through all of them at once. A sweep sorts them into cells, a
slice at a time and with rests between. A question then looks at the cells of its viewport only. Positions and presence
are read from the vehicles themselves at the moment of the question; counts are as of the sweep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from actors.system.supervisor import Supervisor
from actors.vehicles.vehicle import KIND, Fleet, VehicleActor
from domain.vehicle.vehicle import is_alerting, is_online

CELL_E6: Final = 100_000
"""The size of a cell, a tenth of a degree: about ten kilometres."""
BLOCK: Final = 10
"""Cells on each side of a block, for views of whole countries."""
WIDE_E6: Final = 6_000_000
"""The width or height above which views are counted by blocks."""
SLICE: Final = 500
REST_S: Final = 0.02
"""Real seconds between two slices of a sweep: 25,000 vehicles a second at most, some hundredths of a core."""
COLUMNS: Final = 24
"""The most columns of clusters in a view, and as many rows."""


class Box(NamedTuple):
    """A part of the map, in millionths of a degree (WGS-84), edges included."""

    west_e6: int
    south_e6: int
    east_e6: int
    north_e6: int

    def holds(self, lon_e6: int, lat_e6: int) -> bool:
        return self.west_e6 <= lon_e6 <= self.east_e6 and self.south_e6 <= lat_e6 <= self.north_e6


class Spot(NamedTuple):
    """A vehicle on the map."""

    key: str
    lon_e6: int
    lat_e6: int
    course_deg: int
    speed_dkmh: int
    fixed_at: int
    online: bool
    alert: bool
    """An alert goes on."""


class Cluster(NamedTuple):
    """Vehicles near each other, in the middle of their common part of the map."""

    lon_e6: int
    lat_e6: int
    vehicles: int
    online: int
    alerts: int


class Picture(NamedTuple):
    """The picture of a view: every vehicle, or clusters where there are too many."""

    spots: Sequence[Spot]
    clusters: Sequence[Cluster]
    total: int


class _Cell:
    __slots__ = ("actors", "alerts", "online")

    def __init__(self) -> None:
        self.actors: list[VehicleActor] = []
        self.online = 0
        self.alerts = 0


class _Count:
    __slots__ = ("alerts", "lat_e6", "lon_e6", "online", "vehicles")

    def __init__(self) -> None:
        self.vehicles = self.online = self.alerts = self.lon_e6 = self.lat_e6 = 0

    def add(self, part: Cluster) -> None:
        self.vehicles += part.vehicles
        self.online += part.online
        self.alerts += part.alerts
        self.lon_e6 += part.lon_e6 * part.vehicles
        self.lat_e6 += part.lat_e6 * part.vehicles

    def cluster(self) -> Cluster:
        vehicles = self.vehicles
        return Cluster(self.lon_e6 // vehicles, self.lat_e6 // vehicles, vehicles, self.online, self.alerts)


Cells = dict[tuple[int, int], _Cell]
Counts = dict[tuple[int, int], _Count]


class FleetGrid:
    """The grid of all vehicles that are awake in this process."""

    def __init__(self, supervisor: Supervisor, fleet: Fleet) -> None:
        self._supervisor = supervisor
        self._fleet = fleet
        self._cells: Cells = {}
        self._blocks: Counts = {}

    async def sweep(self) -> int:
        """Sort the whole fleet anew; return how many vehicles have a position."""
        cells: Cells = {}
        placed = 0
        actors = list(self._supervisor.actors(KIND).values())
        for start in range(0, len(actors), SLICE):
            if start:
                await asyncio.sleep(REST_S)
            placed += self._sort_in(actors[start : start + SLICE], cells)
        blocks: Counts = {}
        for done, (place, cell) in enumerate(cells.items(), 1):
            blocks.setdefault((place[0] // BLOCK, place[1] // BLOCK), _Count()).add(_count_of((place, cell)))
            if done % SLICE == 0:
                await asyncio.sleep(REST_S)
        self._cells, self._blocks = cells, blocks
        return placed

    def picture(self, box: Box, *, limit: int) -> Picture:
        """Answer a view; looks at no more vehicles than a few times ``limit``."""
        if box.east_e6 - box.west_e6 > WIDE_E6 or box.north_e6 - box.south_e6 > WIDE_E6:
            counts = [count for count in map(_Count.cluster, self._blocks.values()) if box.holds(*count[:2])]
            if sum(count.vehicles for count in counts) > 2 * limit:
                return _clustered(box, counts)
        near = list(self._near(box))
        if sum(len(cell.actors) for _, cell in near) > 4 * limit:
            return _clustered(box, [count for count in map(_count_of, near) if box.holds(*count[:2])])
        spots = [spot for _, cell in near for spot in self._spots(cell.actors) if box.holds(spot.lon_e6, spot.lat_e6)]
        return shown(box, spots, limit=limit)

    def of(self, keys: Iterable[str]) -> Iterator[Spot]:
        """Return the spots of these vehicles, if they are awake and have a position."""
        actors = self._supervisor.actors(KIND)
        found = (actors.get(key) for key in keys)
        return self._spots(actor for actor in found if isinstance(actor, VehicleActor))

    def _sort_in(self, actors: Iterable[object], cells: Cells) -> int:
        now, profile, placed = self._fleet.clock.now(), self._fleet.profile, 0
        for actor in actors:
            if not isinstance(actor, VehicleActor) or (newest := actor.vehicle.newest) is None:
                continue
            place = newest.lon_e6 // CELL_E6, newest.lat_e6 // CELL_E6
            cell = cells.get(place)
            if cell is None:
                cell = cells[place] = _Cell()
            cell.actors.append(actor)
            online = is_online(actor.vehicle, now, profile)
            cell.online += online
            cell.alerts += is_alerting(actor.vehicle, online=online)
            placed += 1
        return placed

    def _near(self, box: Box) -> Iterator[tuple[tuple[int, int], _Cell]]:
        """Yield the cells of a view, and those around it: a vehicle swept there may have driven in."""
        west, south = box.west_e6 // CELL_E6 - 1, box.south_e6 // CELL_E6 - 1
        east, north = box.east_e6 // CELL_E6 + 1, box.north_e6 // CELL_E6 + 1
        if (east - west + 1) * (north - south + 1) > len(self._cells):
            for place, cell in self._cells.items():
                if west <= place[0] <= east and south <= place[1] <= north:
                    yield place, cell
            return
        for lon in range(west, east + 1):
            for lat in range(south, north + 1):
                if (there := self._cells.get((lon, lat))) is not None:
                    yield (lon, lat), there

    def _spots(self, actors: Iterable[VehicleActor]) -> Iterator[Spot]:
        now, profile = self._fleet.clock.now(), self._fleet.profile
        for actor in actors:
            vehicle = actor.vehicle
            if (fix := vehicle.newest) is not None:
                online = is_online(vehicle, now, profile)
                yield Spot(
                    vehicle.key,
                    fix.lon_e6,
                    fix.lat_e6,
                    fix.course_deg % 360,
                    fix.speed_dkmh,
                    vehicle.fixed_at,
                    online,
                    is_alerting(vehicle, online=online),
                )


def shown(box: Box, spots: Sequence[Spot], *, limit: int) -> Picture:
    """Return the vehicles of a view, or clusters of them where there are more than ``limit``."""
    if len(spots) <= limit:
        return Picture(spots, (), len(spots))
    return _clustered(box, [Cluster(spot.lon_e6, spot.lat_e6, 1, spot.online, spot.alert) for spot in spots])


def _clustered(box: Box, parts: Sequence[Cluster]) -> Picture:
    """Return at most ``COLUMNS`` x ``COLUMNS`` clusters."""
    width, height = box.east_e6 - box.west_e6 + 1, box.north_e6 - box.south_e6 + 1
    counts: Counts = {}
    for part in parts:
        place = (part.lon_e6 - box.west_e6) * COLUMNS // width, (part.lat_e6 - box.south_e6) * COLUMNS // height
        counts.setdefault(place, _Count()).add(part)
    return Picture((), [count.cluster() for count in counts.values()], sum(part.vehicles for part in parts))


def _count_of(item: tuple[tuple[int, int], _Cell]) -> Cluster:
    (lon, lat), cell = item
    middle = CELL_E6 // 2
    return Cluster(lon * CELL_E6 + middle, lat * CELL_E6 + middle, len(cell.actors), cell.online, cell.alerts)
