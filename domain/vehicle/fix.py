"""The position report, and distances on earth."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sqrt
from typing import Final, NamedTuple

FLAG_BACKFILLED: Final = 1
"""``Fix.flags`` bit 0: stored in a dead zone and sent later (JT/T 808 0x0704 type 1)."""
FLAG_DOUBTED: Final = 2
"""``Fix.flags`` bit 1: our own clock was in doubt when the report came, so the terminal's time stands (R50).

We set it, never a sender. It is kept with the fix in the log, so that reading the log again decides the same.
"""

STATUS_ACC_ON: Final = 1 << 0
STATUS_POSITIONED: Final = 1 << 1

METRES_PER_MICRODEGREE: Final = 6_371_008.8 * pi / 180 / 1_000_000
_RADIANS_PER_MICRODEGREE: Final = pi / 180 / 1_000_000


class Fix(NamedTuple):
    """A report as the terminal sent it; the fields stand in the order of the feed's row and of the telemetry log.

    Coordinates are WGS-84, signed, in millionths of a degree. ``alarms`` holds the JT/T 808 alarm word in bits 0-31 and
    what the additional items say above it (see ``domain.vehicle.alarm_bits``); ``status`` is the JT/T 808 status word.
    """

    terminal: str
    """The terminal's phone number as registered, leading zeros stripped."""
    fixed_at: int
    """Unix seconds by the terminal's clock."""
    lon_e6: int
    lat_e6: int
    altitude_m: int
    speed_dkmh: int
    """Tenths of km/h."""
    course_deg: int
    alarms: int
    status: int
    flags: int


def distance_m(lon_a_e6: int, lat_a_e6: int, lon_b_e6: int, lat_b_e6: int) -> float:
    """Return metres between two points; flat-earth, so good to 0.1 % below 100 km and never far off beyond."""
    dlon = lon_b_e6 - lon_a_e6
    if dlon > 180_000_000:
        dlon -= 360_000_000
    elif dlon < -180_000_000:
        dlon += 360_000_000
    x = dlon * cos((lat_a_e6 + lat_b_e6) * (_RADIANS_PER_MICRODEGREE / 2))
    y = lat_b_e6 - lat_a_e6
    return METRES_PER_MICRODEGREE * sqrt(x * x + y * y)


class Batch(NamedTuple):
    """Fixes that became durable together, as one entry of the telemetry log."""

    number: int
    """The entry's number in the log; a vehicle's state names the last number that it has folded."""
    received_at: float
    """Unix seconds by our clock, one for all."""
    fixes: Sequence[Fix]
