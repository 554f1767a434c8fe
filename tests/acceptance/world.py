"""The whole service, put together as ``run.py serve`` does, on a clock that stands still.

From here on everything goes over real sockets: HTTP, server-sent events, JT/T 808. A test moves time by ``/dev/clock``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from io import BytesIO
from typing import Any, Final

import msgpack
import msgspec
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from api.accounts.session_records import ends_by_password
from commands.registrar import password_matches
from gateway.ingest import IngestLimits
from persistence.opening import open_store
from persistence.registry.importing import Passwords, import_lines
from persistence.store import Store
from run import Service
from settings import Settings
from tests.acceptance.trucks import Truck
from tests.api.conftest import CHEAP, START, mobile, phone, row
from tests.api.watching import Reader
from tests.faulty_store import FaultyStore
from tests.patience import PATIENCE_S

FEED_KEY: Final = "feed-key-of-the-tests"
OPS_KEY: Final = "ops-key-of-the-tests"
PUBLIC_URL: Final = "https://shouwang.example"
HOME: Final = "127.0.0.1"
LON_E6: Final = 114_400_000
EASTWARDS_E6: Final = 232
"""Distance per second at 80 km/h, at the latitude of these trucks."""
PATIENCE: Final = ClientTimeout(total=PATIENCE_S)

Body = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """An answer of the service."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    def ok(self, status: int = 200) -> Body:
        """The body of an answer of this status."""
        assert self.status == status, (self.status, self.text)
        body: Body = self.json if self.raw else {}
        return body

    @property
    def items(self) -> list[Body]:
        """Return the items of a list that fits into one page."""
        body = self.ok()
        assert body["next"] is None
        found: list[Body] = body["items"]
        return found

    def refused(self, status: int, code: str) -> Body:
        """The problem, checked for all that every problem must have (R60)."""
        assert (self.status, self.headers["Content-Type"].partition(";")[0]) == (status, PROBLEM), self.text
        problem = self.ok(status)
        assert problem["status"] == status, self.text
        assert problem["code"] == code, self.text
        assert problem["type"], self.text
        assert problem["title"], self.text
        assert is_chinese(problem["detail"]), self.text
        if code == "invalid_input":
            assert problem["errors"], self.text
            assert all(is_chinese(each["message"]) and each["field"] for each in problem["errors"]), self.text
        if status in (429, 503):
            assert int(self.headers["Retry-After"]) >= 1
        return problem

    @property
    def text(self) -> str:
        return self.raw.decode(errors="replace")


PROBLEM: Final = "application/problem+json"


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= char <= "\u9fff" for char in text)


@dataclass(frozen=True)
class Caller:
    """A caller with a session, or without one."""

    world: World
    token: str = ""
    account: Body = field(default_factory=dict)
    address: str = HOME

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: object = None, **headers: str) -> Answer:
        return await self.call("POST", path, body, **headers)

    async def delete(self, path: str, **headers: str) -> Answer:
        return await self.call("DELETE", path, **headers)

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """``headers`` are written with underscores: ``If_None_Match``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            named.setdefault("Authorization", f"Bearer {self.token}")
        return await self.world.call(method, path, body, named, address=self.address)

    @asynccontextmanager
    async def watches(self, share_id: str, **headers: str) -> AsyncIterator[Reader]:
        """The live stream of a share."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["Authorization"] = f"Bearer {self.token}"
        path = f"/api/v1/family/shares/{share_id}/live"
        response = await self.world.client(self.address).get(self.world.url(path), headers=named)
        try:
            assert response.status == 200, await response.text()
            assert response.content_type == "text/event-stream"
            yield Reader(response)
        finally:
            response.close()

    def at(self, address: str) -> Caller:
        """The same session from another address of this machine."""
        return replace(self, address=address)


@dataclass
class World:
    """A service on one store; ``restart`` is a clean stop and a new start at the same virtual moment."""

    store_name: str
    settings: Settings = field(init=False)
    service: Service | None = None
    now: float = START
    terms_version: str = ""
    may_fail: bool = False
    store: FaultyStore | None = None
    _clients: dict[str, ClientSession] = field(default_factory=dict)
    _lon_e6: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = Settings(
            http="127.0.0.1:0",
            jt808="127.0.0.1:0",
            store=self.store_name,
            public_url=PUBLIC_URL,
            feed_key=FEED_KEY,
            ops_key=OPS_KEY,
            telemetry=IngestLimits(linger_ms=0.0),
        )

    async def start(self) -> None:
        self.service = Service(self.settings, virtual_from=self.now, hasher=CHEAP, opening=self._opening)
        await self.service.__aenter__()
        self.terms_version = (await self.nobody().get("/api/v1/terms")).ok()["version"]

    async def stop(self) -> None:
        for client in self._clients.values():
            await client.close()
        self._clients.clear()
        if self.service is not None:
            await self.service.__aexit__(None, None, None)
            self.service = None

    async def restart(self, **changes: Any) -> None:
        """``changes`` are settings."""
        await self.stop()
        self.settings = replace(self.settings, **changes)
        await self.start()

    async def _opening(self, name: str) -> Store:
        store = await open_store(name)
        if not self.may_fail:
            return store
        self.store = FaultyStore(store)
        return self.store

    async def restart_on_a_store_that_may_fail(self) -> FaultyStore:
        self.may_fail = True
        await self.restart()
        assert self.store is not None
        return self.store

    async def imports(self, *lines: Mapping[str, object]) -> None:
        """``run.py import``, beside the running service; returns when the service has seen it."""
        store = await open_store(self.store_name)
        try:
            before = self.service.directory.revision if self.service is not None else ""
            await load(store, *lines, at=self.now)
        finally:
            await store.close()
        if self.service is not None:
            await until_another(lambda: _revision(self.service), before)

    # -- time ----------------------------------------------------------------------------------------------------------

    async def advance(self, seconds: float) -> None:
        """Every timer due on the way fires before this returns."""
        (await self.nobody().post("/dev/clock", {"advance_s": seconds})).ok()
        self.now += seconds

    async def advance_to(self, text: str) -> None:
        """An instant in RFC 3339."""
        await self.advance(datetime.fromisoformat(text).timestamp() - self.now)

    # -- calls ---------------------------------------------------------------------------------------------------------

    def url(self, path: str) -> str:
        assert self.service is not None
        return f"http://{self.service.http}{path}"

    def client(self, address: str = HOME) -> ClientSession:
        if address not in self._clients:
            connector = TCPConnector(local_addr=(address, 0), limit=0)
            self._clients[address] = ClientSession(
                connector=connector, timeout=PATIENCE, cookie_jar=DummyCookieJar(), json_serialize=json.dumps
            )
        return self._clients[address]

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        address: str = HOME,
    ) -> Answer:
        content: dict[str, Any] = {} if body is None else {"json": body}
        if isinstance(body, bytes):
            content = {"data": BytesIO(body)}
        url = self.url(path)
        async with self.client(address).request(method, url, headers=headers, **content) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    # -- who -----------------------------------------------------------------------------------------------------------

    def nobody(self, address: str = HOME) -> Caller:
        return Caller(self, address=address)

    async def signs_in(self, *, address: str = HOME, **proof: str) -> Caller:
        """Sign in, with the current terms accepted."""
        body = {**proof, "terms_version": self.terms_version}
        answer = (await self.nobody(address).post("/api/v1/sessions", body)).ok(201)
        return Caller(self, answer["token"], answer["account"], address)

    async def natural(self, number: int, *, address: str = HOME) -> Caller:
        """The person of this number, through WeChat."""
        return await self.signs_in(kind="natural", wechat_code=f"sandbox:{mobile(number)}", address=address)

    async def one_click(self, number: int, *, address: str = HOME) -> Caller:
        """Sign in the holder of this phone."""
        return await self.signs_in(kind="one_click", phone_code=f"sandbox:{mobile(number)}", address=address)

    async def owner(self, number: int = 1, *, address: str = HOME) -> Caller:
        return await self.signs_in(kind="legal", username=f"owner{number}", password=f"right-{number}", address=address)

    # -- trucks --------------------------------------------------------------------------------------------------------

    async def feed(self, *rows: object) -> Body:
        """Return the feed's answer to these rows."""
        return (await self.feeds(msgpack.packb(rows))).ok()

    async def feeds(self, body: bytes, **headers: str) -> Answer:
        named = {"X-Feed-Key": FEED_KEY, "Content-Type": "application/msgpack"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.call("POST", "/api/v1/telemetry", body, named)

    async def reports(self, number: int = 1, **changes: Any) -> None:
        """Truck ``number`` is somewhere now, told by the feed."""
        told = await self.feed(row(number, at=self.now, **changes))
        assert told["accepted"] == 1, told

    async def drives(self, number: int, seconds: int, *, every: int = 240, **changes: Any) -> None:
        """Eastwards at 80 km/h while the clock goes on, reporting ``every`` so many seconds; ``changes`` as of a feed's row."""
        for _ in range(seconds // every):
            await self.advance(every)
            self._lon_e6[number] = self._lon_e6.get(number, LON_E6) + every * EASTWARDS_E6 * (
                changes.get("speed", 1) > 0
            )
            await self.reports(number, lon=self._lon_e6[number], **changes)

    @asynccontextmanager
    async def truck(self, number: int = 1, **layout: int) -> AsyncIterator[Truck]:
        """A terminal that has connected, and said nothing yet."""
        assert self.service is not None
        truck = await Truck.connects(self.service.jt808, phone(number), **layout)
        try:
            yield truck
        finally:
            await truck.hangs_up()


async def load(store: Store, *lines: Mapping[str, object], at: float = START) -> None:
    passwords = Passwords(CHEAP.hash, partial(password_matches, CHEAP))
    raw = [msgspec.json.encode(line) for line in lines]
    report = await import_lines(store, raw, passwords, end_sessions=partial(ends_by_password, store, at=at))
    assert report.bad == []


def _revision(service: Service | None) -> str:
    assert service is not None
    return service.directory.revision


async def until_another(look: Callable[[], str], before: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while look() == before:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
