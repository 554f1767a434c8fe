"""Tests that a repeated request gets its first answer, whole, and that the store alone reveals nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from actors.people.documents import KEY_LIFETIME_S
from api.accounts.identity import Sandbox
from api.accounts.people import People
from api.accounts.sessions import Sessions
from api.app import Door, Guard
from api.http.calls import Auth, Call, Route
from api.http.connections import ConnectionLimits
from api.http.edge import CallFigures, Edge
from api.http.gates import Gates
from api.http.idempotency import KIND, Idempotency
from domain.errors import AlreadyBound, CodeRefused
from persistence.store import StoreUnavailable
from tests.api.conftest import Service, citizen_id, mobile, problem, real_name

KEY = {"Idempotency-Key": "8f3c0a52-7f1e-4f0e-9a4e-2f6f3c6f0b1d"}


class Order(msgspec.Struct, frozen=True):
    """An order at the test's shop."""

    what: str
    how_many: int = 1


class Sold(msgspec.Struct, frozen=True):
    id: str
    token: str
    number: int


@dataclass
class Shop:
    """A handler that counts, fails on request, and gives out a secret."""

    sold: list[tuple[str, str]] = field(default_factory=list)
    refuses: bool = False
    gate: asyncio.Event | None = None

    async def sell(self, call: Call[Order, None]) -> Sold:
        if self.gate is not None:
            await self.gate.wait()
        if self.refuses:
            raise AlreadyBound
        self.sold.append((call.command_id, call.command_secret.hex()))
        return Sold(call.command_id, call.command_secret.hex(), len(self.sold))

    async def nothing(self, call: Call[None, None]) -> None:
        self.sold.append((call.command_id, ""))


@dataclass
class Counter:
    """A shop behind the service's own door, and a way to speak to it."""

    service: Service
    shop: Shop
    client: TestClient[Any, Any]

    async def order(self, headers: Mapping[str, str], *, path: str = "/shop", **sent: object) -> ClientResponse:
        return await self.client.post(path, json={"what": "tea"} | sent, headers=headers)

    async def sold(self, headers: Mapping[str, str], **sent: object) -> dict[str, Any]:
        response = await self.order(headers, path="/shop", **sent)
        assert response.status == 201, await response.text()
        found: dict[str, Any] = await response.json()
        return found


def shop_app(service: Service, shop: Shop) -> web.Application:
    services = service.services
    people = People(services.store, services.clock, services.registry, services.registry_revision)
    sessions = Sessions(
        services.store,
        services.clock,
        services.registry,
        people,
        services.registry_revision,
        terms_version=services.terms.version,
    )
    gates = Gates(services.store, services.clock.now, services.attempt_limits)
    door = Door(Guard(services, sessions, gates), Idempotency(services.store, services.clock.now), ConnectionLimits())
    app = web.Application(middlewares=[Edge(CallFigures()).around])
    for path, auth in (("/shop", Auth.SESSION), ("/other", Auth.SESSION), ("/market", Auth.NOTHING)):
        route = Route("POST", path, shop.sell, "", auth=auth, body=Order, answer=Sold, status=201, idempotent=True)
        app.router.add_post(path, door.to(route))
    app.router.add_post("/plain", door.to(Route("POST", "/plain", shop.sell, "", body=Order, status=201)))
    app.router.add_post("/nothing", door.to(Route("POST", "/nothing", shop.nothing, "", status=204, idempotent=True)))
    return app


@pytest_asyncio.fixture
async def counter(service: Service) -> AsyncIterator[Counter]:
    shop = Shop()
    async with TestClient(TestServer(shop_app(service, shop))) as client:
        yield Counter(service, shop, client)


async def test_a_repeat_gets_the_first_answer_whole_and_nothing_is_done_again(counter: Counter) -> None:
    headers = await counter.service.sign_in_driver() | KEY
    first = await counter.order(headers)
    again = await counter.order(headers)
    assert (again.status, await again.read()) == (first.status, await first.read())
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert len(counter.shop.sold) == 1


async def test_without_a_key_everything_is_done_again(counter: Counter) -> None:
    headers = await counter.service.sign_in_driver()
    first, second = await counter.sold(headers), await counter.sold(headers)
    assert (first["number"], second["number"]) == (1, 2)
    assert first["id"] != second["id"]
    assert first["token"] != second["token"]
    assert (await counter.client.post("/plain", json={"what": "tea"}, headers=KEY)).status == 201
    assert (await counter.client.post("/plain", json={"what": "tea"}, headers=KEY)).status == 201
    assert len(counter.shop.sold) == 4


@pytest.mark.parametrize("changes", [{"what": "coffee"}, {"how_many": 2}])
async def test_the_key_with_another_body_is_refused(counter: Counter, changes: dict[str, object]) -> None:
    headers = await counter.service.sign_in_driver() | KEY
    await counter.sold(headers)
    await problem(await counter.order(headers, path="/shop", **changes), 422, "idempotency_key_reused")
    await problem(await counter.order(headers, path="/other"), 422, "idempotency_key_reused")
    assert len(counter.shop.sold) == 1


async def test_blanks_and_order_in_a_body_make_no_difference(counter: Counter) -> None:
    headers = await counter.service.sign_in_driver() | KEY | {"Content-Type": "application/json"}
    for raw in (b'{"what":"tea","how_many":1}', b'{ "how_many": 1, "what": "tea" }', b'{"what":"tea","x":1}'):
        assert (await counter.client.post("/shop", data=raw, headers=headers)).status == 201
    assert len(counter.shop.sold) == 1


async def test_the_key_is_the_accounts_own_in_every_session_of_it(counter: Counter) -> None:
    first = await counter.sold(await counter.service.sign_in_driver(1) | KEY)
    assert await counter.sold(await counter.service.sign_in_driver(1) | KEY) == first
    other = await counter.sold(await counter.service.sign_in_driver(2) | KEY)
    assert other["token"] != first["token"]
    nobody = await counter.client.post("/market", json={"what": "tea"}, headers=KEY)
    assert (await nobody.json())["number"] == 3
    repeated = await counter.client.post("/market", json={"what": "tea"}, headers=KEY)
    assert (await repeated.json())["number"] == 3


async def test_a_repeat_at_the_same_time_waits_for_the_first(counter: Counter) -> None:
    headers = await counter.service.sign_in_driver() | KEY
    counter.shop.gate = asyncio.Event()
    orders = [asyncio.create_task(counter.sold(headers)) for _ in range(5)]
    await asyncio.wait(orders, timeout=0.05)
    assert not any(order.done() for order in orders)
    counter.shop.gate.set()
    answers = await asyncio.gather(*orders)
    assert [answer["number"] for answer in answers] == [1] * 5


async def test_what_was_refused_may_succeed_when_sent_again(counter: Counter) -> None:
    headers = await counter.service.sign_in_driver() | KEY
    counter.shop.refuses = True
    await problem(await counter.order(headers), 409, "already_bound")
    counter.shop.refuses = False
    assert (await counter.sold(headers))["number"] == 1


async def test_an_answer_is_kept_for_a_day_and_then_leaves_the_store(counter: Counter) -> None:
    service = counter.service
    headers = await service.sign_in_driver() | KEY
    await counter.sold(headers)
    await service.clock.advance(KEY_LIFETIME_S - 1)
    assert (await counter.sold(headers))["number"] == 1
    await service.clock.advance(1)
    assert (await counter.sold(headers))["number"] == 2
    await service.clock.advance(KEY_LIFETIME_S)
    await counter.sold(headers | {"Idempotency-Key": "another"})
    assert await service.store.count(KIND, "expiry", "") == 1


async def test_an_answer_without_a_body_is_repeated_too(counter: Counter) -> None:
    for _ in range(2):
        response = await counter.client.post("/nothing", headers=KEY)
        assert (response.status, await response.read()) == (204, b"")
    assert len(counter.shop.sold) == 1


BAD_KEYS = ["", " ", "a b", "a" * 256, "ключ", "a\u00a0b"]


@pytest.mark.parametrize("key", BAD_KEYS, ids=range(len(BAD_KEYS)))
async def test_a_key_that_is_none_is_refused(counter: Counter, key: str) -> None:
    headers = await counter.service.sign_in_driver() | {"Idempotency-Key": key}
    found = await problem(await counter.order(headers), 422, "invalid_input")
    assert found["errors"][0]["field"] == "Idempotency-Key"
    assert counter.shop.sold == []


@pytest.mark.parametrize("key", ["a", "!~", "a" * 255])
async def test_a_key_may_be_anything_that_can_be_seen(counter: Counter, key: str) -> None:
    await counter.sold(await counter.service.sign_in_driver() | {"Idempotency-Key": key})


async def test_r62_the_store_alone_reveals_neither_the_key_nor_the_answer(counter: Counter) -> None:
    service = counter.service
    answer = await counter.sold(await service.sign_in_driver() | KEY, what="a very secret tea")
    await service.stop()
    stored = b"".join(path.read_bytes() for path in service.folder.iterdir())
    assert b"idempotency" in stored
    for secret in (answer["token"], bytes.fromhex(answer["token"]), KEY["Idempotency-Key"], "secret tea"):
        assert (secret if isinstance(secret, bytes) else secret.encode()) not in stored
    await service.start()


class NeverKept:
    """A store whose process dies between a command's commit and the keeping of its answer."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, writes: Any) -> None:
        if any(write.kind == KIND for write in writes):
            raise StoreUnavailable("no answer is kept")
        await self._store.commit(writes)


async def test_a_repeat_after_a_crash_is_the_same_command_with_the_same_secret(service: Service) -> None:
    headers = await service.sign_in_driver() | KEY
    store, shop = service.store, Shop()
    await service.restart_with(store=NeverKept(store))
    async with TestClient(TestServer(shop_app(service, shop))) as client:
        assert (await Counter(service, shop, client).sold(headers))["number"] == 1
    await service.restart_with(store=store)
    async with TestClient(TestServer(shop_app(service, shop))) as client:
        counter = Counter(service, shop, client)
        assert (await counter.sold(headers))["number"] == 2
        await counter.sold(await service.sign_in_driver(2) | KEY)
        await counter.sold(headers | {"Idempotency-Key": "another"})
    assert shop.sold[0] == shop.sold[1]
    assert len(set(shop.sold)) == 3
    assert len(bytes.fromhex(shop.sold[0][1])) == 32


async def test_the_same_key_for_another_request_is_another_command(service: Service) -> None:
    headers, shop = await service.sign_in_driver() | KEY, Shop()
    await service.restart_with(store=NeverKept(service.store))
    async with TestClient(TestServer(shop_app(service, shop))) as client:
        counter = Counter(service, shop, client)
        await counter.sold(headers)
        await counter.sold(headers, what="coffee")
        await counter.order(headers, path="/other")
    assert len(set(shop.sold)) == 3


class OnceOnly(Sandbox):
    """Codes serve once, as WeChat's do."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    async def phone(self, code: str) -> str:
        if code in self._used:
            raise CodeRefused
        self._used.add(code)
        return await super().phone(code)


async def test_registration_repeated_needs_no_second_code_even_when_accounts_became_one(service: Service) -> None:
    await service.sign_in_driver(2)
    headers = await service.one_click("13700000001")
    await service.restart_with(identity=OnceOnly())
    sent = {"real_name": real_name(2), "citizen_id": citizen_id(2), "phone_code": f"sandbox:{mobile(2)}"}
    answers = []
    for _ in range(2):
        response = await service.client.post("/api/v1/registration", json=sent, headers=headers | KEY)
        assert response.status == 200, await response.text()
        answers.append(await response.json())
    assert answers[0] == answers[1]
    response = await service.client.post("/api/v1/registration", json=sent, headers=headers)
    await problem(response, 401, "code_refused")


async def test_signing_in_ignores_the_header(service: Service) -> None:
    tokens = set()
    for _ in range(2):
        response = await service.client.post("/api/v1/sessions", json=service.credentials(), headers=KEY)
        tokens.add((await response.json())["token"])
    assert len(tokens) == 2
