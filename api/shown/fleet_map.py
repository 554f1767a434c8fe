"""A business's map of its own moving vehicles (R40): those in the viewport, or clusters of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

import msgspec
from aiohttp import web

from actors.vehicles.fleet_grid import Box, Cluster, FleetGrid, Picture, Spot, shown
from actors.vehicles.vehicle import KIND
from api.accounts.accounts import owner_of
from api.http.calls import JSON, Call
from api.ports import Services
from api.shown.owned_fleet import OwnedFleets, OwnedVehicles, Which
from api.shown.share_view import is_known
from api.shown.viewport import Viewport, box_of
from api.shown.views import time_text
from domain.coordinates import gcj02_from_wgs84
from domain.identifiers import PlateColor

WOKEN_AT_ONCE: Final = 250
LOOKED_AT_ONCE: Final = 1_000


class MapQuery(Viewport, frozen=True):
    """The query of the owner's map."""

    only: Which = "all"


class MapVehicle(msgspec.Struct, frozen=True):
    """A vehicle on the map."""

    id: str
    plate: str
    plate_color: PlateColor
    time: str
    wgs84: tuple[float, float]
    gcj02: tuple[float, float]
    course_deg: int
    speed_kmh: float
    online: bool
    alert: bool


class MapCluster(msgspec.Struct, frozen=True):
    """Vehicles near each other."""

    wgs84: tuple[float, float]
    gcj02: tuple[float, float]
    vehicle_count: int
    online_count: int
    alerting_count: int


class FleetMap(msgspec.Struct, frozen=True):
    """Every vehicle of the viewport, or clusters of them where there are more than ``limit``."""

    items: list[MapVehicle]
    clusters: list[MapCluster]
    vehicle_count: int
    refresh_after: int = 5


class FleetMapDesk:
    """The handler of the owner's map."""

    def __init__(self, services: Services, grid: FleetGrid, fleets: OwnedFleets) -> None:
        self._services = services
        self._grid = grid
        self._fleets = fleets

    async def map(self, call: Call[None, MapQuery]) -> web.Response:
        """Return own vehicles with a position in the part of the map in view; 304 while none of them has moved."""
        business, box = owner_of(call.account), box_of(call.query.bbox)
        vehicles = await self._fleets.of(business.uscc)
        await self._wake(list(vehicles))
        spots = await self._within(box, vehicles, call.query.only)
        body = msgspec.json.encode(_map(shown(box, spots, limit=call.query.limit), vehicles))
        etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
        headers = {"ETag": etag, "Cache-Control": "private, max-age=0"}
        if is_known(call.http.headers.get("If-None-Match"), etag):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers, content_type=JSON, charset="utf-8")

    async def _wake(self, vehicle_ids: Sequence[str]) -> None:
        """Wake vehicles that slept for an hour, so that they show their last position. Raises ``StoreUnavailable``."""
        awake = self._services.supervisor.actors(KIND)
        asleep = [key for key in vehicle_ids if key not in awake]
        for start in range(0, len(asleep), WOKEN_AT_ONCE):
            await self._services.supervisor.activate(KIND, asleep[start : start + WOKEN_AT_ONCE])

    async def _within(self, box: Box, vehicles: OwnedVehicles, only: Which) -> list[Spot]:
        keys, today, spots = list(vehicles), self._fleets.today(), list[Spot]()
        for start in range(0, len(keys), LOOKED_AT_ONCE):
            found = self._grid.of(keys[start : start + LOOKED_AT_ONCE])
            in_view = (spot for spot in found if box.holds(spot.lon_e6, spot.lat_e6))
            spots += [spot for spot in in_view if self._fleets.shows(only, spot, vehicles, today)]
            await asyncio.sleep(0)
        return spots


def _map(picture: Picture, vehicles: OwnedVehicles) -> FleetMap:
    return FleetMap(_items(picture.spots, vehicles), [_cluster(each) for each in picture.clusters], picture.total)


def _items(spots: Iterable[Spot], vehicles: OwnedVehicles) -> list[MapVehicle]:
    return [
        MapVehicle(
            id=spot.key,
            plate=vehicles[spot.key].plate.plate,
            plate_color=vehicles[spot.key].plate.plate_color,
            time=time_text(spot.fixed_at),
            wgs84=(spot.lon_e6 / 1e6, spot.lat_e6 / 1e6),
            gcj02=_gcj02(spot.lon_e6, spot.lat_e6),
            course_deg=spot.course_deg,
            speed_kmh=spot.speed_dkmh / 10,
            online=spot.online,
            alert=spot.alert,
        )
        for spot in spots
    ]


def _cluster(cluster: Cluster) -> MapCluster:
    return MapCluster(
        wgs84=(cluster.lon_e6 / 1e6, cluster.lat_e6 / 1e6),
        gcj02=_gcj02(cluster.lon_e6, cluster.lat_e6),
        vehicle_count=cluster.vehicles,
        online_count=cluster.online,
        alerting_count=cluster.alerts,
    )


def _gcj02(lon_e6: int, lat_e6: int) -> tuple[float, float]:
    point = gcj02_from_wgs84(lon_e6 / 1e6, lat_e6 / 1e6)
    return round(point.lon, 6), round(point.lat, 6)
