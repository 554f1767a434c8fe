"""Points on Chinese maps: WGS-84 is converted to GCJ-02, which those maps must use, and back."""

from __future__ import annotations

from math import cos, pi, radians, sin, sqrt
from typing import Final, NamedTuple

_SEMI_MAJOR_AXIS_M: Final = 6_378_245.0
_ECCENTRICITY_SQUARED: Final = 0.00669342162296594323
"""Krasovsky's ellipsoid, on which the published formula stands."""


class Point(NamedTuple):
    """A point in degrees, east and north."""

    lon: float
    lat: float


def gcj02_from_wgs84(lon: float, lat: float) -> Point:
    """Shift a point into GCJ-02; outside China's bounding box nothing is shifted."""
    if not _is_shifted(lon, lat):
        return Point(lon, lat)
    dlon, dlat = _shift(lon, lat)
    return Point(lon + dlon, lat + dlat)


def _is_shifted(lon: float, lat: float) -> bool:
    return 72.004 <= lon <= 137.8347 and 0.8293 <= lat <= 55.8271


def _shift(lon: float, lat: float) -> tuple[float, float]:
    """Return how far the point moves, in degrees."""
    x, y = lon - 105.0, lat - 35.0
    curvature = 1 - _ECCENTRICITY_SQUARED * sin(radians(lat)) ** 2
    meridian_m = _SEMI_MAJOR_AXIS_M * (1 - _ECCENTRICITY_SQUARED) / (curvature * sqrt(curvature))
    parallel_m = _SEMI_MAJOR_AXIS_M / sqrt(curvature) * cos(radians(lat))
    return _east_m(x, y) * 180.0 / (parallel_m * pi), _north_m(x, y) * 180.0 / (meridian_m * pi)


def _east_m(x: float, y: float) -> float:
    metres = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x))
    metres += _ripple(x)
    metres += (20.0 * sin(x * pi) + 40.0 * sin(x / 3.0 * pi)) * 2.0 / 3.0
    return metres + (150.0 * sin(x / 12.0 * pi) + 300.0 * sin(x / 30.0 * pi)) * 2.0 / 3.0


def _north_m(x: float, y: float) -> float:
    metres = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x))
    metres += _ripple(x)
    metres += (20.0 * sin(y * pi) + 40.0 * sin(y / 3.0 * pi)) * 2.0 / 3.0
    return metres + (160.0 * sin(y / 12.0 * pi) + 320.0 * sin(y * pi / 30.0)) * 2.0 / 3.0


def _ripple(x: float) -> float:
    return (20.0 * sin(6.0 * x * pi) + 20.0 * sin(2.0 * x * pi)) * 2.0 / 3.0
