"""The world that trucks drive in: cities, roads, and the roads' effects on terminals."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from heapq import heappop, heappush
from itertools import pairwise
from math import asin, atan2, ceil, cos, degrees, hypot, pi, radians, sin, sqrt
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

GEOGRAPHY: Final = Path(__file__).resolve().parent.parent / "geography"
STEP_M: Final = 1500.0
"""Distance between the points of a densified road."""
_EARTH_M: Final = 6_371_008.8
_METRES_PER_DEGREE: Final = _EARTH_M * pi / 180
_ROUTES_KEPT: Final = 20_000


class Cover(IntEnum):
    """The reception that a stretch of road leaves a terminal."""

    OPEN = 0
    SHORT_TUNNEL = 1
    """Network, but no satellites."""
    TUNNEL = 2
    """Neither network nor satellites."""
    DEAD_ZONE = 3
    """Satellites, but no network."""


class Point(NamedTuple):
    """WGS-84 degrees."""

    lon: float
    lat: float


class Stretch(NamedTuple):
    """A tunnel or dead zone, in metres from a road's first end."""

    start_m: float
    end_m: float
    cover: Cover


class Place(NamedTuple):
    """A point on the road, and the road's direction there."""

    lon: float
    lat: float
    course_deg: float


@dataclass(frozen=True, slots=True)
class City:
    """An entry of ``geography/cities.json``."""

    name: str
    province: str
    lon: float
    lat: float
    suffix: str = "市"
    """The word after its name; most are cities."""


def metres_between(a: Point, b: Point) -> float:
    """Return the great-circle distance."""
    up, across = radians(b.lat - a.lat) / 2, radians(b.lon - a.lon) / 2
    half = sin(up) ** 2 + cos(radians(a.lat)) * cos(radians(b.lat)) * sin(across) ** 2
    return 2 * _EARTH_M * asin(sqrt(half))


def altitude_m(lon: float, lat: float) -> int:
    """Return a plausible height: China rises to the west in three steps, with hills on each."""
    base = 1900.0 if lon < 103 else 900.0 if lon < 111 else 60.0
    return int(base + base * 0.2 * sin(lon * 9) * cos(lat * 11) + 15 * sin(lon * 140))


class Road:
    """A stretch of motorway between two neighbouring points of a corridor, bending as roads do."""

    __slots__ = ("ends", "lats", "length_m", "lons", "metres", "stretches")

    def __init__(self, ends: tuple[int, int], shape: Sequence[Point], stretches: tuple[Stretch, ...]) -> None:
        self.ends = ends
        self.lons = array("d", [point.lon for point in shape])
        self.lats = array("d", [point.lat for point in shape])
        self.metres = array("d", [0.0])
        for a, b in pairwise(shape):
            self.metres.append(self.metres[-1] + metres_between(a, b))
        self.length_m = self.metres[-1]
        self.stretches = stretches

    def at(self, distance_m: float) -> Place:
        """Return the place this many metres from the road's first end, and the course away from it."""
        after = min(max(bisect_right(self.metres, distance_m), 1), len(self.metres) - 1)
        span = self.metres[after] - self.metres[after - 1]
        share = (distance_m - self.metres[after - 1]) / span if span else 0.0
        lon, lat = self.lons[after - 1], self.lats[after - 1]
        dlon, dlat = self.lons[after] - lon, self.lats[after] - lat
        course = degrees(atan2(dlon * cos(radians(lat)), dlat)) % 360
        return Place(lon + dlon * share, lat + dlat * share, course)

    def cover_at(self, distance_m: float) -> Stretch | None:
        """Return the tunnel or dead zone around this place."""
        return next((s for s in self.stretches if s.start_m <= distance_m < s.end_m), None)


class Route:
    """Roads end to end; distances count from the route's first city."""

    __slots__ = ("_roads", "_starts", "cities_m", "destination", "length_m", "origin")

    def __init__(self, origin: City, destination: City, roads: Sequence[tuple[Road, bool]], city_count: int) -> None:
        self.origin = origin
        self.destination = destination
        self._roads = tuple(roads)
        self._starts = array("d")
        self.length_m = 0.0
        passed = [0.0]
        for road, forward in roads:
            self._starts.append(self.length_m)
            self.length_m += road.length_m
            if road.ends[1 if forward else 0] < city_count:
                passed.append(self.length_m)
        self.cities_m = array("d", passed)

    def at(self, distance_m: float) -> Place:
        """Return the place this many metres from the origin, and the course towards the destination."""
        road, forward, along = self._find(distance_m)
        place = road.at(along)
        return place if forward else Place(place.lon, place.lat, (place.course_deg + 180) % 360)

    def cover_at(self, distance_m: float) -> Cover:
        """Return the reception at this place."""
        road, _, along = self._find(distance_m)
        stretch = road.cover_at(along) if road.stretches else None
        return stretch.cover if stretch else Cover.OPEN

    def _find(self, distance_m: float) -> tuple[Road, bool, float]:
        distance_m = min(max(distance_m, 0.0), self.length_m)
        index = max(bisect_right(self._starts, distance_m) - 1, 0)
        road, forward = self._roads[index]
        along = distance_m - self._starts[index]
        return road, forward, along if forward else road.length_m - along


class World:
    """Cities, the roads between them, and shortest routes; the same seed digs the same tunnels."""

    def __init__(self, cities: Sequence[City], *, seed: int = 0, shade: float = 1.0) -> None:
        self.cities = tuple(cities)
        self._seed = seed
        self._shade = shade
        self._nodes: dict[str | Point, int] = {city.name: index for index, city in enumerate(cities)}
        self._points = [Point(city.lon, city.lat) for city in cities]
        self._ways: list[list[tuple[int, Road, bool]]] = [[] for _ in cities]
        self.roads: list[Road] = []
        self.route = lru_cache(maxsize=_ROUTES_KEPT)(self._route)
        self._arrivals = lru_cache(maxsize=len(self.cities))(self._search)

    def lay(self, via: Sequence[str | Point]) -> None:
        """Build the roads of a corridor along these cities and way-points. Raises ``KeyError`` for an unknown city."""
        nodes = [self._node(stop) for stop in via]
        for index, (a, b) in enumerate(pairwise(nodes)):
            if any(to == b for to, _, _ in self._ways[a]):
                continue
            before = self._points[nodes[index - 1]] if index else self._points[a]
            after = self._points[nodes[index + 2]] if index + 2 < len(nodes) else self._points[b]
            self._build((a, b), _bent(before, self._points[a], self._points[b], after))

    def _node(self, stop: str | Point) -> int:
        if isinstance(stop, str) or stop in self._nodes:
            return self._nodes[stop]
        self._nodes[stop] = len(self._points)
        self._points.append(stop)
        self._ways.append([])
        return len(self._points) - 1

    def _build(self, ends: tuple[int, int], shape: Sequence[Point]) -> None:
        length_m = sum(metres_between(a, b) for a, b in pairwise(shape))
        rng = Random(f"{self._seed}/road/{len(self.roads)}")
        road = Road(ends, shape, _shaded(rng, length_m, self._shade))
        self.roads.append(road)
        self._ways[ends[0]].append((ends[1], road, True))
        self._ways[ends[1]].append((ends[0], road, False))

    def _route(self, origin: int, destination: int) -> Route | None:
        """Return the shortest way between two cities, by their places in ``cities``; None where no road leads."""
        arrivals = self._arrivals(origin)
        steps: list[tuple[Road, bool]] = []
        node = destination
        while node != origin:
            if (step := arrivals.get(node)) is None:
                return None
            steps.append((step[1], step[2]))
            node = step[0]
        return Route(self.cities[origin], self.cities[destination], steps[::-1], len(self.cities))

    def _search(self, origin: int) -> dict[int, tuple[int, Road, bool]]:
        """Run Dijkstra's algorithm: for each node, return the step that reaches it from nearer the origin."""
        arrivals: dict[int, tuple[int, Road, bool]] = {}
        nearest = {origin: 0.0}
        waiting = [(0.0, origin)]
        while waiting:
            metres, node = heappop(waiting)
            if metres > nearest[node]:
                continue
            for neighbour, road, forward in self._ways[node]:
                reached = metres + road.length_m
                if reached < nearest.get(neighbour, float("inf")):
                    nearest[neighbour] = reached
                    arrivals[neighbour] = (node, road, forward)
                    heappush(waiting, (reached, neighbour))
        return arrivals


def load(*, seed: int = 0, shade: float = 1.0, folder: Path = GEOGRAPHY) -> World:
    """Load the world of ``geography/``; ``shade`` multiplies the number of tunnels and dead zones."""
    entries = json.loads((folder / "cities.json").read_text("utf-8"))
    cities = [City(entry["name"], entry["province"], entry["lon"], entry["lat"]) for entry in entries]
    world = World(cities, seed=seed, shade=shade)
    for corridor in json.loads((folder / "corridors.json").read_text("utf-8")):
        world.lay([stop if isinstance(stop, str) else Point(*stop) for stop in corridor["via"]])
    return world


def _bent(before: Point, a: Point, b: Point, after: Point) -> list[Point]:
    """Return points from ``a`` to ``b`` on a Catmull-Rom curve through all four, swaying a little from side to side."""
    length_m = metres_between(a, b)
    count = max(2, ceil(length_m / STEP_M))
    sway_deg = min(900.0, length_m * 0.012) / _METRES_PER_DEGREE
    waves = max(1, round(length_m / 14_000))
    along = hypot(b.lon - a.lon, b.lat - a.lat) or 1.0
    across = (-(b.lat - a.lat) / along, (b.lon - a.lon) / along)
    shape = []
    for step in range(count + 1):
        t = step / count
        aside = sway_deg * (sin(pi * waves * t) + 0.5 * sin(pi * (2 * waves + 1) * t))
        lon = _spline(before.lon, a.lon, b.lon, after.lon, t=t) + across[0] * aside
        lat = _spline(before.lat, a.lat, b.lat, after.lat, t=t) + across[1] * aside
        shape.append(Point(lon, lat))
    return shape


def _spline(p0: float, p1: float, p2: float, p3: float, *, t: float) -> float:
    """Interpolate by Catmull-Rom, with a tension that keeps unevenly spaced points from looping."""
    m1, m2 = 0.3 * (p2 - p0), 0.3 * (p3 - p1)
    t2, t3 = t * t, t * t * t
    return (2 * t3 - 3 * t2 + 1) * p1 + (t3 - 2 * t2 + t) * m1 + (3 * t2 - 2 * t3) * p2 + (t3 - t2) * m2


def _shaded(rng: Random, length_m: float, shade: float) -> tuple[Stretch, ...]:
    """Draw tunnels on some roads and a dead zone on few, in order and apart from each other."""
    found: list[Stretch] = []
    at_m = 2000.0
    while at_m < length_m - 8000:
        draw = rng.random() / shade if shade else 1.0
        end_m = at_m
        if draw < 0.03:
            end_m += rng.uniform(400, 1500)
            found.append(Stretch(at_m, end_m, Cover.SHORT_TUNNEL))
        elif draw < 0.05:
            end_m += rng.uniform(1500, 6000)
            found.append(Stretch(at_m, end_m, Cover.TUNNEL))
        elif draw < 0.058:
            end_m += rng.uniform(4000, 25_000)
            found.append(Stretch(at_m, min(end_m, length_m - 1000), Cover.DEAD_ZONE))
        at_m = end_m + rng.uniform(5000, 11_000)
    return tuple(found)
