"""Finds the named place that a truck is near, and on which side of it the truck is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import atan2, ceil, cos, degrees, floor, radians, sqrt
from typing import Final

REACH_M: Final = 80_000.0
"""The distance beyond which a place says nothing."""
NEARBY_M: Final = 3_000.0
"""The distance within which a direction says nothing: the truck is in the town."""
DIRECTIONS: Final = ("偏北", "东北", "偏东", "东南", "偏南", "西南", "偏西", "西北")
_METRES_PER_DEGREE: Final = 111_195.0
_REACH_DEG: Final = REACH_M / _METRES_PER_DEGREE
_MAX_LAT: Final = 85.0


@dataclass(frozen=True, slots=True)
class Place:
    """A named place as seen from a point: its distance, and the direction in which the point lies from it."""

    name: str
    distance_m: float
    direction: str

    def __str__(self) -> str:
        """Format as ``武汉市东北方向12公里``."""
        if self.distance_m < NEARBY_M:
            return f"{self.name}附近"
        return f"{self.name}{self.direction}方向{self.distance_m / 1000:.0f}公里"


class Places:
    """Named places, found through a grid of one degree: each cell lists all places in reach of any point in it."""

    def __init__(self, places: Iterable[tuple[str, float, float]]) -> None:
        """Index ``places``: (name, longitude, latitude) in degrees, WGS-84."""
        self._cells: dict[tuple[int, int], list[tuple[str, float, float]]] = {}
        for place in places:
            for cell in _cells_in_reach(place[1], place[2]):
                self._cells.setdefault(cell, []).append(place)

    def nearest(self, lon: float, lat: float) -> Place | None:
        """Return the nearest place within 80 km, None without one."""
        candidates = self._cells.get((floor(lon), floor(lat)), ())
        found, best_m2 = None, REACH_M * REACH_M
        for name, place_lon, place_lat in candidates:
            east_m = (lon - place_lon) * _METRES_PER_DEGREE * cos(radians((lat + place_lat) / 2))
            north_m = (lat - place_lat) * _METRES_PER_DEGREE
            distance_m2 = east_m * east_m + north_m * north_m
            if distance_m2 <= best_m2:
                found, best_m2 = (name, east_m, north_m), distance_m2
        if found is None:
            return None
        name, east_m, north_m = found
        return Place(name, sqrt(best_m2), _direction(east_m, north_m))


def _direction(east_m: float, north_m: float) -> str:
    return DIRECTIONS[round(degrees(atan2(east_m, north_m)) / 45.0) % 8]


def _cells_in_reach(lon: float, lat: float) -> Iterator[tuple[int, int]]:
    """Yield the cells of every point that may be within reach; a longitude's degree is short in the north."""
    furthest_lat = min(abs(lat) + _REACH_DEG, _MAX_LAT)
    reach_lon = min(ceil(_REACH_DEG / cos(radians(furthest_lat)) * 1000) / 1000, 180.0)
    for cell_lat in range(floor(lat - _REACH_DEG), floor(lat + _REACH_DEG) + 1):
        for cell_lon in range(floor(lon - reach_lon), floor(lon + reach_lon) + 1):
            yield cell_lon, cell_lat
