"""The control room's live stream: the service's health, and the fleet's positions without plates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from hashlib import blake2s
from secrets import token_bytes
from time import monotonic
from typing import Final

import msgspec
from aiohttp import web

from actors.vehicles.fleet_grid import Box, Cluster, FleetGrid, Picture, Spot
from api.http.calls import Call
from api.live.event_stream import EventStream, Gone, Heart, event
from api.operations.health import Health
from api.operations.ops import OpsDesk
from api.ports import Services
from api.shown.viewport import DEFAULT_LIMIT, BoxText, Limit, box_of
from domain.errors import Busy, OpsKeyInvalid

PERIOD_S: Final = 2.0
"""Real seconds between two pictures."""
SWEEP_S: Final = 5.0
"""Real seconds between two sweeps over the fleet, while an operator looks at it."""
FIRST_SWEEP_S: Final = 1.0
"""Real seconds that a first picture waits for the sweep; a large fleet's begins empty."""
FULL_RETRY_S: Final = 10.0

VehicleRow = tuple[str, int, int, int, int, int]
"""Id, longitude and latitude in 1e-5 degrees (WGS-84), course, online, alert."""
ClusterRow = tuple[int, int, int, int, int]
"""Longitude and latitude in 1e-5 degrees, vehicles, of these online, of these with an alert."""


class OpsView(msgspec.Struct, frozen=True):
    """The query of the control room."""

    bbox: BoxText | None = None
    limit: Limit = DEFAULT_LIMIT


class FleetPicture(msgspec.Struct, frozen=True):
    """The vehicles in view, or clusters of them where there are more than ``limit``.

    A vehicle's id means nothing outside this service, and changes when the service restarts.
    """

    vehicles: list[VehicleRow]
    clusters: list[ClusterRow]
    vehicle_count: int


EVENTS: Final = (("health", Health), ("fleet", FleetPicture))


class _Viewer:
    """An operator's stream."""

    __slots__ = ("_due", "is_over")

    def __init__(self) -> None:
        self._due = asyncio.Event()
        self.is_over = False

    def beat(self) -> None:
        self._due.set()

    def end(self) -> None:
        self.is_over = True
        self._due.set()

    async def wait(self) -> None:
        """Wait until the next picture is due."""
        await self._due.wait()
        self._due.clear()


class OpsLiveDesk:
    """The handler of the control room's stream; all viewers share its cost."""

    def __init__(self, services: Services, ops: OpsDesk, grid: FleetGrid) -> None:
        self._services = services
        self._ops = ops
        self._grid = grid
        self._heart = Heart(PERIOD_S, parts=4)
        self._viewers: dict[_Viewer, None] = {}
        self._health = b""
        self._health_at = float("-inf")
        self._sweeping: asyncio.Task[int] | None = None
        self._swept_at = float("-inf")
        self._salt = token_bytes(16)
        self._is_closed = False

    def add_to(self, app: web.Application) -> None:
        """Beat while the application runs, and end all streams when it stops."""

        async def beat(_: web.Application) -> AsyncIterator[None]:
            beating = asyncio.create_task(self._heart.run())
            yield
            running = [task for task in (beating, self._sweeping) if task is not None]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

        async def close(_: web.Application) -> None:
            self._is_closed = True
            for viewer in self._viewers:
                viewer.end()

        app.cleanup_ctx.append(beat)
        app.on_shutdown.append(close)

    async def live(self, call: Call[None, OpsView]) -> web.StreamResponse:
        """Send the picture of ``/health`` every two seconds; with ``bbox``, also the fleet in view.

        Always needs the key: a service without a key refuses.
        """
        if not self._services.ops_key:
            raise OpsKeyInvalid(configured=False)
        box = None if call.query.bbox is None else box_of(call.query.bbox)
        limits = self._services.stream_limits
        if self._is_closed or len(self._viewers) >= limits.streams_of_operators:
            raise Busy(retry_after_s=FULL_RETRY_S)
        viewer, events = _Viewer(), EventStream(call.http, stalled_s=limits.stalled_s)
        self._viewers[viewer] = None
        part = self._heart.add(viewer)
        with suppress(Gone):
            try:
                await events.open()
                await self._tell(viewer, events, box, call.query.limit)
            except BaseException:
                events.cut()
                raise
            finally:
                self._heart.remove(viewer, part)
                del self._viewers[viewer]
        return events.response

    async def _tell(self, viewer: _Viewer, events: EventStream, box: Box | None, limit: int) -> None:
        """Send pictures until the client or the service has gone. A slow client gets fewer pictures, never old ones."""
        while not viewer.is_over:
            await events.send(await self._health_event())
            if box is not None:
                await self._sweep_if_due()
                await events.send(event("fleet", self._told(self._grid.picture(box, limit=limit))))
            await viewer.wait()
        await events.close()

    async def _health_event(self) -> bytes:
        """Encode the health picture, at most once per half period for all viewers."""
        if monotonic() - self._health_at >= PERIOD_S / 2:
            self._health_at = monotonic()
            self._health = event("health", await self._ops.picture())
        return self._health

    async def _sweep_if_due(self) -> None:
        if self._sweeping is None and monotonic() - self._swept_at >= SWEEP_S:
            self._sweeping = asyncio.create_task(self._sweep())
        if self._sweeping is not None:
            await asyncio.wait((self._sweeping,), timeout=FIRST_SWEEP_S if self._swept_at < 0 else 0)

    async def _sweep(self) -> int:
        try:
            return await self._grid.sweep()
        finally:
            self._sweeping, self._swept_at = None, monotonic()

    def _told(self, picture: Picture) -> FleetPicture:
        return FleetPicture(
            vehicles=[self._row(spot) for spot in picture.spots],
            clusters=[_cluster(cluster) for cluster in picture.clusters],
            vehicle_count=picture.total,
        )

    def _row(self, spot: Spot) -> VehicleRow:
        name = blake2s(spot.key.encode(), key=self._salt, digest_size=6).hexdigest()
        place = spot.lon_e6 // 10, spot.lat_e6 // 10
        return (name, *place, spot.course_deg, int(spot.online), int(spot.alert))


def _cluster(cluster: Cluster) -> ClusterRow:
    return (cluster.lon_e6 // 10, cluster.lat_e6 // 10, cluster.vehicles, cluster.online, cluster.alerts)
