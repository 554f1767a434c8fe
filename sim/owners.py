"""A client of the service's HTTP contract, as a fleet's owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

import aiohttp
import msgspec

from sim.registry_lines import Business

PAGE: Final = 200
_TRIES: Final = 8
_FIRST_TRIES: Final = 2
"""Tries for a drive's first call, few so that a missing service is noticed soon."""
_RETRY_S: Final = 0.75
_PAGES_LIMIT: Final = 5000
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
_LISTED_ALERTS: Final = 100

_T = TypeVar("_T")


class ServiceError(Exception):
    """The service did not answer as its contract says."""


class SignInRefused(ServiceError):
    """The service does not know this owner with this password."""


class _Terms(msgspec.Struct):
    version: str


class _Session(msgspec.Struct):
    token: str


class _Clock(msgspec.Struct):
    now: str | float
    speed: float = 1.0
    virtual: bool = False


class _Health(msgspec.Struct):
    clock: _Clock


class _LastFix(msgspec.Struct):
    time: datetime
    wgs84: tuple[float, float]
    speed_kmh: float | None
    age_s: float = 0.0


class _Vehicle(msgspec.Struct):
    id: str
    plate: str
    plate_color: str
    online: bool | None
    last_fix: _LastFix | None = None


class _VehicleList(msgspec.Struct):
    items: list[_Vehicle]
    next: str | None = None


class _Alert(msgspec.Struct):
    kind: str
    source: str
    started_at: datetime
    ended_at: datetime | None = None
    ongoing: bool | None = None
    peak_kmh: float | None = None


class _DrivingToday(msgspec.Struct):
    driving_s: int


class _VehiclePage(msgspec.Struct):
    driving_today: _DrivingToday | None = None
    alerts: list[_Alert] = []
    online: bool | None = None
    alerts_next: str | None = None


class ClockReading(NamedTuple):
    """The service's clock as ``/health`` tells it."""

    now: float
    speed: float
    virtual: bool


class SeenFix(NamedTuple):
    """A last fix as the service shows it."""

    fixed_at: float
    lon: float
    lat: float
    speed_kmh: float
    age_s: float


class SeenVehicle(NamedTuple):
    """An entry of an owner's list."""

    id: str
    plate: str
    online: bool | None
    """The presence; None where the service cannot tell."""
    last_fix: SeenFix | None


class SeenAlert(NamedTuple):
    """An alert of a vehicle's page, times in Unix seconds."""

    kind: str
    source: str
    started_at: int
    ended_at: int | None
    peak_kmh: float


class SeenAlerts(NamedTuple):
    """The alerts of a vehicle's page; ``cut`` when older ones may be missing."""

    alerts: tuple[SeenAlert, ...]
    cut: bool
    driving_today_s: int | None = None
    """Seconds of driving since midnight, from the same page; None where the page does not tell."""
    online: bool | None = True
    """The presence on the same page."""


class Service:
    """A client of the service's HTTP contract; a context manager."""

    def __init__(self, url: str, *, ops_key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._ops_headers = {"X-Ops-Key": ops_key} if ops_key else {}
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Service:
        self._http = aiohttp.ClientSession(timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http:
            await self._http.close()

    async def clock(self) -> ClockReading:
        """Read the clock from ``/health``. Raises ``ServiceError``."""
        raw = await self._call("GET", "/health", headers=self._ops_headers, tries=_FIRST_TRIES)
        clock = _decoded(raw, _Health).clock
        now = clock.now if isinstance(clock.now, float) else _unix(clock.now)
        return ClockReading(now, clock.speed, clock.virtual)

    async def terms_version(self) -> str:
        """Return the version of the statement that a sign-in accepts."""
        return _decoded(await self._call("GET", "/api/v1/terms"), _Terms).version

    async def sign_in(self, owner: Business, terms_version: str) -> str:
        """Sign this owner in and return the new session's token. Raises ``SignInRefused``."""
        form = {
            "kind": "legal",
            "username": owner.username,
            "password": owner.password,
            "terms_version": terms_version,
        }
        return _decoded(await self._call("POST", "/api/v1/sessions", form=form), _Session).token

    async def vehicles(self, token: str) -> AsyncIterator[SeenVehicle]:
        """Yield every vehicle of the owner, page by page."""
        cursor: str | None = None
        for _ in range(_PAGES_LIMIT):
            query = {"list": "all", "limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
            raw = await self._call("GET", "/api/v1/owner/vehicles", headers=_bearer(token), query=query)
            page = _decoded(raw, _VehicleList)
            for vehicle in page.items:
                yield SeenVehicle(vehicle.id, vehicle.plate, vehicle.online, _seen_fix(vehicle.last_fix))
            cursor = page.next
            if cursor is None:
                return

    async def alerts(self, token: str, vehicle_id: str) -> SeenAlerts:
        """Return the alerts on the vehicle's page."""
        raw = await self._call("GET", f"/api/v1/owner/vehicles/{vehicle_id}", headers=_bearer(token))
        page = _decoded(raw, _VehiclePage)
        cut = page.alerts_next is not None or len(page.alerts) >= _LISTED_ALERTS
        today_s = page.driving_today.driving_s if page.driving_today else None
        return SeenAlerts(tuple(_seen_alert(alert) for alert in page.alerts), cut, today_s, page.online)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        form: Mapping[str, object] | None = None,
        tries: int = _TRIES,
    ) -> bytes:
        """Return an answer's body. A service that is restarting or overloaded is asked again a few times."""
        trouble = ""
        for attempt in range(tries):
            try:
                status, raw = await self._once(method, path, headers or {}, query or {}, form)
            except (aiohttp.ClientError, TimeoutError) as error:
                trouble = "did not answer in time" if isinstance(error, TimeoutError) else _what_went_wrong(error)
            else:
                if status < 400:
                    return raw
                trouble = f"answered {status}: {raw[:200].decode('utf-8', 'replace')}"
                if status == 401 and form is not None:
                    raise SignInRefused(trouble)
                if status not in (429, 503):
                    break
            if attempt + 1 < tries:
                await asyncio.sleep(_RETRY_S * (attempt + 1))
        raise ServiceError(f"{method} {self._url}{path} {trouble}")

    async def _once(
        self, method: str, path: str, headers: dict[str, str], query: dict[str, str], form: Mapping[str, object] | None
    ) -> tuple[int, bytes]:
        assert self._http is not None
        url = self._url + path
        async with self._http.request(method, url, headers=headers, params=query, json=form) as answer:
            return answer.status, await answer.read()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _what_went_wrong(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.InvalidURL):
        return "is no address; write for example --api http://127.0.0.1:8080"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"can't be reached ({error.os_error.strerror or error.os_error}); is the service running there?"
    return f"broke off ({type(error).__name__})"


def _decoded(raw: bytes, form: type[_T]) -> _T:
    try:
        return msgspec.json.decode(raw, type=form)
    except msgspec.DecodeError as error:
        raise ServiceError(f"the answer breaks the contract: {error}") from error


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _seen_fix(fix: _LastFix | None) -> SeenFix | None:
    if fix is None:
        return None
    return SeenFix(fix.time.timestamp(), fix.wgs84[0], fix.wgs84[1], fix.speed_kmh or 0.0, fix.age_s)


def _seen_alert(alert: _Alert) -> SeenAlert:
    ended_at = round(alert.ended_at.timestamp()) if alert.ended_at else None
    return SeenAlert(alert.kind, alert.source, round(alert.started_at.timestamp()), ended_at, alert.peak_kmh or 0.0)
