"""Tests that every answer carries the headers that protect a browser, and that none opens the API to other sites."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from api.http.connections import ConnectionLimits
from api.pages import Pages
from persistence.store import StoreUnavailable
from tests.api.callers import OPS_KEY, furnished
from tests.api.conftest import Service
from tests.api.drivers import FAMILY_SHARES, family
from tests.attacks.document import operations
from tests.attacks.wire import Heard, connected, get

EVIL: Final = "https://evil.example"
CROSS_SITE: Final = {"Origin": EVIL, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-A"}
OPENING: Final = {"access-control-", "set-cookie", "location", "refresh", "x-powered-by", "www-authenticate: basic"}
"""Beginnings of headers that no answer has."""
CACHED: Final = ("no-store", "no-cache", "private, max-age=0", "public, max-age=31536000, immutable")


def check(headers: dict[str, str], where: str) -> None:
    """Names in lower case."""
    assert headers["x-content-type-options"] == "nosniff", where
    assert headers["x-frame-options"] == "DENY", where
    assert headers["referrer-policy"] == "no-referrer", where
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'"), where
    assert "frame-ancestors 'none'" in policy, where
    assert "unsafe" not in policy, where
    assert headers["cache-control"] in CACHED, where
    assert headers["server"] == "shouwang", where
    lines = [f"{name}: {value}".lower() for name, value in headers.items()]
    assert [line for line in lines if line.startswith(tuple(OPENING))] == [], where


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[tuple[Service, str]]:
    """Yield a service with pages, and the share that the family watches."""
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<!doctype html><title>pages</title>")
    (dist / "assets" / "index-1.js").write_text("let a = 1")
    service = Service(tmp_path)
    ids = await furnished(service)
    await service.restart_with(pages=Pages(dist), connection_limits=ConnectionLimits(connections=50))
    yield service, ids[FAMILY_SHARES]
    await service.stop()


House = tuple[Service, str]


async def heard(service: Service, method: str, path: str, **more: Any) -> int:
    """Its status, once its headers are checked; the body is not waited for."""
    async with service.client.request(method, path, allow_redirects=False, **more) as response:
        check({name.lower(): value for name, value in response.headers.items()}, f"{method} {path} {response.status}")
        response.close()
        return response.status


async def test_every_kind_of_answer_is_armed(house: House) -> None:
    service, share_id = house
    viewer, driver = await family(service), await service.sign_in_driver()
    view = f"{FAMILY_SHARES}/{share_id}"
    etag = (await service.client.get(view, headers=viewer)).headers["ETag"]
    json = {"Content-Type": "application/json"}
    kinds: list[tuple[int, str, str, dict[str, Any]]] = [
        (200, "GET", "/healthz", {}),
        (200, "HEAD", "/", {}),
        (200, "GET", "/", {}),
        (200, "GET", "/family/shares/x", {}),
        (200, "GET", "/assets/index-1.js", {}),
        (200, "GET", "/docs", {}),
        (200, "GET", "/docs/docs.js", {}),
        (200, "GET", "/metrics", {"headers": {"X-Ops-Key": OPS_KEY}}),
        (200, "GET", "/api/v1/openapi.json", {}),
        (200, "GET", view, {"headers": viewer}),
        (304, "GET", view, {"headers": viewer | {"If-None-Match": etag}}),
        (200, "GET", f"{view}/live", {"headers": viewer}),
        (200, "GET", "/api/v1/ops/live", {"headers": {"X-Ops-Key": OPS_KEY}}),
        (401, "GET", "/api/v1/ops/live", {}),
        (401, "GET", "/api/v1/me", {}),
        (403, "GET", "/api/v1/owner/vehicles", {"headers": driver}),
        (404, "GET", "/nothing", {}),
        (404, "GET", "/assets/none.js", {}),
        (405, "PUT", "/api/v1/terms", {}),
        (405, "OPTIONS", "/api/v1/me", {"headers": CROSS_SITE}),
        (405, "TRACE", "/api/v1/me", {}),
        (413, "POST", "/api/v1/sessions", {"data": b" " * 70_000, "headers": json}),
        (415, "POST", "/api/v1/sessions", {"data": b"a=b"}),
        (422, "POST", "/api/v1/sessions", {"data": b"{}", "headers": json}),
        (204, "DELETE", "/api/v1/sessions/current", {"headers": driver}),
    ]
    wrong = [
        (method, path, status, told)
        for status, method, path, more in kinds
        if (told := await heard(service, method, path, **more)) != status
    ]
    assert wrong == []


async def test_failures_are_armed_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    service, _ = house
    headers = await service.sign_in()

    async def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(service.services.registry, "count_vehicles_of", broken)
    assert await heard(service, "GET", "/api/v1/me", headers=headers) == 500

    async def down(*_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(service.store, "get", down)
    unknown = {"Authorization": f"Bearer {'x' * 43}"}
    assert await heard(service, "GET", "/api/v1/me", headers=unknown) == 503
    monkeypatch.undo()


async def test_what_never_became_a_call_is_armed_too(house: House) -> None:
    service, _ = house
    port = service.client.port
    assert port is not None
    async with connected(port, 50) as inside, connected(port, 1) as (outside,):
        check((await outside.hears()).headers, "no room")
        answer: Heard = await inside[0].asks(get("/", "A: \0"))
        check(answer.headers, "no HTTP")


async def test_no_call_answers_another_site(house: House) -> None:
    """CORS is off, and there is no setting that turns it on: neither a preflight nor the call itself is let in."""
    service, _ = house
    for operation in operations(await service.get("/api/v1/openapi.json", {})):
        path = operation.path.replace("{id}", "0" * 16)
        assert await heard(service, "OPTIONS", path, headers=CROSS_SITE) in (404, 405), path
        if operation.method == "get":
            await heard(service, "GET", path, headers={"Origin": EVIL})


async def test_nothing_redirects(house: House) -> None:
    """No link can therefore be made to lead elsewhere."""
    service, _ = house
    port = service.client.port
    assert port is not None
    for path in ("//evil.example", "/\\evil.example", "/docs/", "/api/v1/me/", "/?next=//evil.example", "/family/"):
        async with connected(port, 1) as (peer,):
            answer = await peer.asks(get(path))
            assert answer.status in (200, 400, 404), path
            check(answer.headers, path)


async def test_a_link_is_made_of_our_own_address_whatever_host_a_call_names(house: House) -> None:
    service, _ = house
    driver = await service.sign_in_driver()
    headers = driver | {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher"}
    form = {"plate": "鄂A00003", "plate_color": "yellow"}
    async with service.client.post("/api/v1/driver/delegations", json=form, headers=headers) as response:
        assert response.status == 201
        assert (await response.json())["link"].startswith("https://shouwang.example/d#")
