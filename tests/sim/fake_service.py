"""The smallest service: owners, their vehicles, their data, and lies on request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web

from gateway.jt808.codec.location import fix_of
from sim.registry_lines import businesses, identity
from tests.sim.fake_platform import FakePlatform
from tests.sim.fakes import NOON

Item = dict[str, object]
Lie = Callable[[Item], Item | None]


class FakeService:
    """The HTTP side of a platform; ``lie`` changes or hides a vehicle before it is told."""

    def __init__(self, platform: FakePlatform, *, seed: int, vehicles: int, speed: float) -> None:
        self.platform = platform
        self.speed = speed
        self.virtual = False
        self.lie: Lie = lambda item: item
        self.page = 2
        self._seed = seed
        self._vehicles = vehicles
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.get("/health", self.health),
                web.get("/api/v1/terms", self.terms),
                web.post("/api/v1/sessions", self.sign_in),
                web.get("/api/v1/owner/vehicles", self.list_vehicles),
                web.get("/api/v1/owner/vehicles/{id}", self.one_vehicle),
            ]
        )
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def health(self, _: web.Request) -> web.Response:
        now = datetime.fromtimestamp(NOON, UTC).isoformat()
        return web.json_response({"clock": {"now": now, "speed": self.speed, "virtual": self.virtual}, "uptime_s": 5})

    async def terms(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "1", "text": "…"})

    async def sign_in(self, request: web.Request) -> web.Response:
        form = await request.json()
        for owner in businesses(self._seed, self._vehicles):
            if (form["username"], form["password"]) == (owner.username, owner.password):
                return web.json_response({"token": owner.username}, status=201)
        return web.json_response({"code": "wrong_credentials"}, status=401)

    async def list_vehicles(self, request: web.Request) -> web.Response:
        told = [item for index in range(self._vehicles) if (item := self.lie(self.item(index)))]
        start = int(request.query.get("cursor", "0"))
        end = start + self.page
        following = str(end) if end < len(told) else None
        return web.json_response({"items": told[start:end], "next": following})

    async def one_vehicle(self, request: web.Request) -> web.Response:
        return web.json_response({"id": request.match_info["id"], "alerts": []})

    def item(self, index: int) -> Item:
        who = identity(self._seed, index)
        return {
            "id": str(index),
            "plate": who.plate,
            "plate_color": who.plate_color,
            "online": (fix := self._last_fix(who.phone)) is not None,
            "last_fix": fix,
        }

    def _last_fix(self, phone: str) -> Item | None:
        fixes = [fix_of(f.body, phone) for f in self.platform.of(0x0200) if f.phone == phone]
        if not fixes:
            return None
        last = max(fixes, key=lambda fix: fix.fixed_at)
        return {
            "time": datetime.fromtimestamp(last.fixed_at, UTC).isoformat(),
            "wgs84": [last.lon_e6 / 1e6, last.lat_e6 / 1e6],
            "speed_kmh": last.speed_dkmh / 10,
            "age_s": 5.0,
        }
