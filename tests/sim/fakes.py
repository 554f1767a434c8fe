"""The small world that the simulator's tests drive in."""

from __future__ import annotations

from functools import lru_cache

from sim.ledger import Told
from sim.truth import ACC_ON, POSITIONED
from sim.world import World, load

NOON = 1_790_000_000
LON_E6 = 113_000_000
LAT_E6 = 34_000_000
METRES_PER_E6_LAT = 0.1112


@lru_cache(maxsize=2)
def china(shade: float = 1.0) -> World:
    return load(seed=1, shade=shade)


def told(
    at: int,
    *,
    order: int | None = None,
    north_m: float = 0.0,
    kmh: float = 0.0,
    alarms: int = 0,
    camera_event: int = 0,
    abnormal: int = 0,
    status: int = ACC_ON | POSITIONED,
    backfilled: int = 0,
    sent_at: float | None = None,
    nowhere: bool = False,
) -> Told:
    """A report ``at`` seconds after noon."""
    return Told(
        order=order if order is not None else at,
        received_at=NOON + (at if sent_at is None else sent_at),
        fixed_at=NOON + at,
        lon_e6=0 if nowhere else LON_E6,
        lat_e6=0 if nowhere else LAT_E6 + round(north_m / METRES_PER_E6_LAT),
        speed_dkmh=round(kmh * 10),
        alarms=alarms,
        camera_event=camera_event,
        abnormal=abnormal,
        status=status,
        backfilled=backfilled,
    )
