"""The clients of a running service in tests: an owner, a platform and an operator."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from http.client import HTTPConnection
from typing import NamedTuple, TypeVar

import msgspec

from domain.vehicle.fix import Fix
from sim.registry_lines import Business
from tests.e2e.processes import address_of
from tests.patience import PATIENCE_S

T = TypeVar("T")


class SeenFix(msgspec.Struct):
    time: datetime
    wgs84: tuple[float, float]
    speed_kmh: float

    @property
    def fixed_at(self) -> int:
        return round(self.time.timestamp())

    @property
    def place_e6(self) -> tuple[int, int]:
        lon, lat = self.wgs84
        return round(lon * 1e6), round(lat * 1e6)


class SeenVehicle(msgspec.Struct):
    id: str
    plate: str
    online: bool | None
    last_fix: SeenFix | None


class SeenVehicles(msgspec.Struct):
    items: list[SeenVehicle]
    next: str | None


class SeenAlert(msgspec.Struct):
    kind: str
    started_at: datetime


class SeenPage(msgspec.Struct):
    alerts: list[SeenAlert]


class FeedAnswer(msgspec.Struct):
    accepted: int
    stale: int
    rejected: list[dict[str, str | int]]


class Clock(msgspec.Struct):
    now: datetime
    speed: float
    virtual: bool


class Telemetry(msgspec.Struct):
    fixes_total: int


class Health(msgspec.Struct):
    status: str
    clock: Clock
    vehicles: int
    online: int
    offline: int
    telemetry: Telemetry


class Terms(msgspec.Struct):
    version: str


class Session(msgspec.Struct):
    token: str


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    body: bytes
    retry_after: str | None = None

    def holds(self, form: type[T]) -> T:
        assert 200 <= self.status < 300, (self.status, self.body)
        return msgspec.json.decode(self.body, type=form)


def call(
    http: str, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Make a request on a connection of its own."""
    connection = HTTPConnection(*address_of(http), timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.read(), response.getheader("Retry-After"))
    finally:
        connection.close()


def call_json(http: str, path: str, form: Mapping[str, str | float]) -> Answer:
    headers = {"Content-Type": "application/json"}
    return call(http, "POST", path, body=json.dumps(form).encode(), headers=headers)


def health(http: str) -> Health:
    return call(http, "GET", "/health").holds(Health)


def try_to_sign_in(http: str, owner: Business) -> Answer:
    version = call(http, "GET", "/api/v1/terms").holds(Terms).version
    form = {"kind": "legal", "username": owner.username, "password": owner.password, "terms_version": version}
    return call_json(http, "/api/v1/sessions", form)


def sign_in(http: str, owner: Business) -> str:
    """The session's token."""
    return try_to_sign_in(http, owner).holds(Session).token


def own_vehicles(http: str, token: str) -> dict[str, SeenVehicle]:
    """Return the vehicles by plate."""
    page = call(http, "GET", "/api/v1/owner/vehicles?limit=200", headers=bearer(token)).holds(SeenVehicles)
    assert page.next is None
    return {vehicle.plate: vehicle for vehicle in page.items}


def starts_of_alerts(http: str, token: str, vehicle_id: str, kind: str) -> list[int]:
    page = call(http, "GET", f"/api/v1/owner/vehicles/{vehicle_id}", headers=bearer(token)).holds(SeenPage)
    return [round(alert.started_at.timestamp()) for alert in page.alerts if alert.kind == kind]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def feed(http: str, key: str, rows: Sequence[Fix]) -> Answer:
    headers = {"Content-Type": "application/msgpack", "X-Feed-Key": key}
    return call(http, "POST", "/api/v1/telemetry", body=msgspec.msgpack.encode(rows), headers=headers)
