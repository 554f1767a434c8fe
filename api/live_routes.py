"""The live part of the route table: the live streams, the owner's map, and their background tasks."""

from __future__ import annotations

from aiohttp import web

from actors.vehicles.fleet_grid import FleetGrid
from api.accounts.sessions import Sessions
from api.http.calls import Auth, Route
from api.live import watching as live
from api.live.watching import LiveDesk
from api.operations import live as ops_live
from api.operations.live import OpsLiveDesk, OpsView
from api.operations.ops import OpsDesk
from api.ports import Services
from api.shown.fleet_map import FleetMap, FleetMapDesk, MapQuery
from api.shown.owned_fleet import FleetSummary, OwnedFleets, SummaryDesk
from domain.errors import Busy, ShareEnded


class LiveSide:
    """The live desks of one application."""

    def __init__(self, services: Services, sessions: Sessions, ops: OpsDesk) -> None:
        grid = FleetGrid(services.supervisor, services.fleet)
        self._family = LiveDesk(services, sessions)
        self._operators = OpsLiveDesk(services, ops, grid)
        fleets = OwnedFleets(services)
        self._owners = FleetMapDesk(services, grid, fleets)
        self._summaries = SummaryDesk(services, grid, fleets)

    def add_to(self, app: web.Application) -> None:
        """Beat while the application runs, and end the streams when it stops."""
        self._family.add_to(app)
        self._operators.add_to(app)

    def open_streams(self) -> int:
        """Count the open family streams."""
        return self._family.open_streams

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                "GET",
                "/api/v1/family/shares/{id}/live",
                self._family.live,
                "实时动态",
                auth=Auth.NATURAL,
                answer=web.StreamResponse,
                events=live.EVENTS,
                refusals=(ShareEnded, Busy),
            ),
            Route(
                "GET",
                "/api/v1/ops/live",
                self._operators.live,
                "监控大屏",
                auth=Auth.OPS_KEY,
                query=OpsView,
                answer=web.StreamResponse,
                events=ops_live.EVENTS,
                refusals=(Busy,),
            ),
            Route(
                "GET",
                "/api/v1/owner/map",
                self._owners.map,
                "车队地图",
                auth=Auth.OWNER,
                query=MapQuery,
                answer=FleetMap,
                etag=True,
            ),
            Route(
                "GET",
                "/api/v1/owner/summary",
                self._summaries.summary,
                "业户首页的数目",
                auth=Auth.OWNER,
                answer=FleetSummary,
            ),
        )
