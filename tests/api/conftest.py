"""The API's tests talk to the real thing over real HTTP: SQLite store, supervisor, actors, ingest; a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest_asyncio
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher

from actors.people.household import Household
from actors.system.clock import VirtualClock
from actors.system.runtime import Dispatcher
from actors.system.supervisor import Supervisor
from actors.vehicles.directory import Directory
from actors.vehicles.state import VehicleKind
from actors.vehicles.telemetry import Router
from actors.vehicles.vehicle import KIND, Fleet
from api.accounts.identity import RegistryRealNames, Sandbox
from api.accounts.passwords import Passwords
from api.accounts.session_records import ends_by_password
from api.accounts.terms import read_terms
from api.app import make_app, make_runner
from api.ports import Services
from commands.registrar import password_matches
from domain.identifiers import PlateColor, citizen_id_check_char, uscc_check_char
from domain.places import Places
from domain.registry import vehicle_id
from domain.vehicle.fix import Fix
from domain.vehicle.profile import DEFAULT_PROFILE
from gateway.feed import Feed
from gateway.ingest import Ingest, IngestLimits
from persistence.records import encode_batch
from persistence.registry.importing import Passwords as ImportPasswords
from persistence.registry.importing import import_lines
from persistence.registry.lookups import Registry
from persistence.sqlite.store import SqliteStore
from persistence.store import StoreUnavailable

START = 1_760_000_000.0
"""2025-10-09T16:53:20+08:00."""
FEED_KEY = "feed-key-of-the-tests"
PUBLIC_URL = "https://shouwang.example"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
TODAY = date(2025, 10, 9)


def uscc(number: int) -> str:
    """A credit code with its right check character."""
    body = f"91420100MA{number:07d}"
    return body + uscc_check_char(body)


def business_line(number: int, **changes: object) -> dict[str, object]:
    return {
        "type": "business",
        "uscc": uscc(number),
        "name": f"平安运输{number}号公司",
        "username": f"owner{number}",
        "password": f"right-{number}",
        "operating_licence": {"number": f"4201000{number:05d}", "valid_until": "2030-01-01"},
    } | changes


def vehicle_line(number: int, owner: int = 1, **changes: object) -> dict[str, object]:
    return {
        "type": "vehicle",
        "plate": plate(number),
        "plate_color": "yellow",
        "vin": f"LZZ5ELND5HD{number:06d}",
        "transport_cert_no": f"420100{number:06d}",
        "transport_cert_valid_until": str(TODAY + timedelta(days=400)),
        "annual_review_due": str(TODAY + timedelta(days=10)) if number == 1 else None,
        "owner_uscc": uscc(owner),
        "terminal_phone": phone(number),
    } | changes


def person_line(number: int, *, qualified: bool = True, **changes: object) -> dict[str, object]:
    """A natural person; the qualification's number is, as in life, the citizen ID."""
    valid_until = str(TODAY + timedelta(days=500))
    return {
        "type": "person",
        "real_name": real_name(number),
        "citizen_id": citizen_id(number),
        "phone": mobile(number),
        "wechat_openid": f"openid-{number}",
        "qualification": {"number": citizen_id(number), "valid_until": valid_until} if qualified else None,
    } | changes


def real_name(number: int) -> str:
    return f"张{'甲乙丙丁戊己庚辛壬癸'[number % 10]}{'子丑寅卯辰巳午未申酉戌亥'[number % 12]}"


def citizen_id(number: int) -> str:
    body = f"42010119800101{number % 1000:03d}"
    return body + citizen_id_check_char(body)


def mobile(number: int) -> str:
    """A person's own phone; those of terminals are others."""
    return f"139{number:08d}"


def plate(number: int) -> str:
    return f"鄂A{number:05d}"


def phone(number: int) -> str:
    return f"138{number:08d}"


def key(number: int) -> str:
    return vehicle_id(plate(number), PlateColor.YELLOW)


def row(number: int = 1, at: float = START, **changes: Any) -> list[Any]:
    """A row of the feed: a truck near Wuhan at 80 km/h."""
    fields = {
        "key": phone(number),
        "at": int(at),
        "lon": 114_400_000,
        "lat": 30_700_000,
        "altitude": 25,
        "speed": 800,
        "course": 90,
        "alarms": 0,
        "status": 3,
        "flags": 0,
    }
    return list((fields | changes).values())


class OurServer(TestServer):
    """Serves as ``run.py`` does."""

    async def _make_runner(self, **kwargs: Any) -> web.AppRunner:
        return make_runner(self.app, drain_s=1.0)


@dataclass
class Service:
    """A service on one store file; ``restart`` is a clean stop and a new process's start."""

    folder: Path
    clock: VirtualClock = field(init=False)
    store: SqliteStore = field(init=False)
    ingest: Ingest = field(init=False)
    fleet: Fleet = field(init=False)
    supervisor: Supervisor = field(init=False)
    directory: Directory = field(init=False)
    household: Household = field(init=False)
    services: Services = field(init=False)
    client: TestClient[Any, Any] = field(init=False)
    appends: bool = True
    """True while the store takes fixes."""

    async def start(self, at: float = START) -> None:
        self.store = await SqliteStore.open(self.folder / "service.db")
        self.clock = VirtualClock(at, settle=self._settle)
        self.fleet = Fleet(self.clock, DEFAULT_PROFILE)
        registry = await Registry.open(self.store)
        self.directory = Directory(registry, await self.store.secret("terminals"))
        await self.directory.load()
        self._people_the_house(registry)
        await self.household.recover()
        self.services = Services(
            clock=self.clock,
            store=self.store,
            registry=registry,
            supervisor=self.supervisor,
            fleet=self.fleet,
            feed=Feed(self.ingest, self.directory.knows),
            passwords=Passwords(CHEAP),
            identity=Sandbox(),
            real_names=RegistryRealNames(registry),
            registry_revision=lambda: self.directory.revision,
            terms=read_terms(),
            place_of=Places([("武汉市", 114.305, 30.593)]).nearest,
            ingest_stats=lambda: self.ingest.stats,
            store_stats=self.store.stats,
            gateway_stats=lambda: {"connections": 2, "frames_total": 9, "deviations": {"bad_checksum": 3}},
            known_vehicles=self.directory.__len__,
            watch_log=self.household.watch_log,
            public_url=lambda: PUBLIC_URL,
            version="0.0.0",
            feed_key=FEED_KEY,
            advance=self.clock.advance,
        )
        self.ingest.start()
        self.client = TestClient(OurServer(make_app(self.services)))
        await self.client.start_server()

    def _people_the_house(self, registry: Registry) -> None:
        async def append(received_at: float, fixes: Sequence[Fix]) -> int:
            if not self.appends:
                raise StoreUnavailable("appends nothing")
            return await self.store.append(encode_batch(received_at, fixes))

        dispatcher, vehicle_of = Dispatcher(), self.directory.vehicle_of
        kind = VehicleKind(self.store, dispatcher, self.fleet, limits_of=registry.speed_limits, vehicle_of=vehicle_of)
        self.supervisor = Supervisor(dispatcher, self.clock, {KIND: kind})
        self.household = Household(dispatcher, self.clock, self.store, self.supervisor, owner_of=registry.owner_of)
        router = Router(self.supervisor, self.fleet, vehicle_of)
        limits = IngestLimits(linger_ms=0.0)
        self.ingest = Ingest(append=append, route=router.route, now=self.clock.now, limits=limits)

    async def _settle(self) -> None:
        await self.ingest.rest()
        await self.supervisor.rest()

    async def stop(self) -> None:
        await self.client.close()
        await self.ingest.stop()
        await self.household.watch_log.flush()
        await self.supervisor.stop()
        await self.store.close()

    async def restart(self) -> None:
        await self.stop()
        await self.start(self.clock.now())

    async def restart_with(self, **changes: Any) -> None:
        """The same house with another HTTP side: ``changes`` are fields of ``Services``."""
        await self.client.close()
        self.services = replace(self.services, **changes)
        self.client = TestClient(OurServer(make_app(self.services)))
        await self.client.start_server()

    async def register(self, *lines: Mapping[str, object]) -> None:
        """Imports registry lines, and lets the directory see them."""
        passwords = ImportPasswords(CHEAP.hash, partial(password_matches, CHEAP))
        ending = partial(ends_by_password, self.store, at=self.clock.now())
        raw = [msgspec.json.encode(line) for line in lines]
        report = await import_lines(self.store, raw, passwords, end_sessions=ending)
        assert report.bad == []
        while changes := await self.directory.look():
            self.directory.take_in(changes, await self.directory.moving(changes))

    # -- calls -------------------------------------------------------------------------------------------------------

    async def sign_in(self, number: int = 1) -> dict[str, str]:
        """The headers of a signed-in business."""
        response = await self.client.post("/api/v1/sessions", json=self.credentials(number))
        assert response.status == 201, await response.text()
        return {"Authorization": f"Bearer {(await response.json())['token']}"}

    def credentials(self, number: int = 1, **changes: object) -> dict[str, object]:
        return {
            "kind": "legal",
            "username": f"owner{number}",
            "password": f"right-{number}",
            "terms_version": self.services.terms.version,
        } | changes

    async def sign_in_person(self, phone: str) -> dict[str, str]:
        """The headers of a natural person who came through WeChat."""
        return await self._sign_in_natural({"kind": "natural", "wechat_code": f"sandbox:{phone}"})

    async def one_click(self, phone: str) -> dict[str, str]:
        """Sign in by phone alone, and return the headers."""
        return await self._sign_in_natural({"kind": "one_click", "phone_code": f"sandbox:{phone}"})

    async def sign_in_driver(self, number: int = 1) -> dict[str, str]:
        """The headers of the registered driver of this number."""
        return await self.sign_in_person(mobile(number))

    async def _sign_in_natural(self, proof: Mapping[str, str]) -> dict[str, str]:
        body = {**proof, "terms_version": self.services.terms.version}
        response = await self.client.post("/api/v1/sessions", json=body)
        assert response.status == 201, await response.text()
        return {"Authorization": f"Bearer {(await response.json())['token']}"}

    async def account_id(self, headers: Mapping[str, str]) -> str:
        """Return the id of the session's account."""
        return str((await self.get("/api/v1/me", headers))["id"])

    async def report(self, *rows: object) -> dict[str, Any]:
        """Return the feed's answer to these rows."""
        response = await self.post_feed(msgpack.packb(rows))
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer

    async def post_feed(self, body: bytes | BytesIO, **headers: str) -> ClientResponse:
        usual = {"X-Feed-Key": FEED_KEY, "Content-Type": "application/msgpack"}
        return await self.client.post("/api/v1/telemetry", data=body, headers=usual | headers)

    async def get(self, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """The body of a 200."""
        response = await self.client.get(path, headers=headers)
        assert response.status == 200, await response.text()
        body: dict[str, Any] = await response.json()
        return body


async def problem(response: ClientResponse, status: int, code: str) -> dict[str, Any]:
    """The problem, checked for what every problem must have."""
    assert response.status == status, await response.text()
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = await response.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"].endswith(code)
    assert any("\u4e00" <= char <= "\u9fff" for char in body["detail"])
    assert response.headers["X-Request-Id"]
    return body


@pytest_asyncio.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """Two businesses, the first with three vehicles, the second with one; drivers 1 to 3, and family members 11 and 12."""
    service = Service(tmp_path)
    await service.start()
    await service.register(
        business_line(1),
        business_line(2),
        *(vehicle_line(number) for number in (1, 2, 3)),
        vehicle_line(4, owner=2),
        *(person_line(number) for number in (1, 2, 3)),
        *(person_line(number, qualified=False) for number in (11, 12)),
    )
    yield service
    await service.stop()
