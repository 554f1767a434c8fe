"""Tests that input outside the document is refused by a problem that the document names, and never by a failure."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest_asyncio
from aiohttp import ClientResponse
from yarl import URL

from tests.api.callers import CALLERS, OPS_KEY, furnished, known_id
from tests.api.conftest import FEED_KEY, Service

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
HOUR_S: Final = 3_600.0
"""Time after which wrong attempts are forgotten."""

ODD_VALUES: Final[tuple[Any, ...]] = (
    None,
    0,
    -1,
    1 << 70,
    1.5,
    True,
    [],
    ["x"],
    {},
    {"x": 1},
    "",
    " ",
    "x",
    "x" * 10_000,
    "车" * 10_000,
    "\x00",
    "a\x00b",
    "\ud800",
    "\udfff\ud800",
    "\u202egnp.鄂A00001",
    "🚚👩‍👩‍👧",
    "e\u0301",
    "\ufeff",
    "../../etc/passwd",
    "'; DROP TABLE documents; --",
    "${x}{{x}}",
)
"""Values that are right for no field of any body."""

OPTIONAL: Final = ("call_me",)
"""Fields that a body may do without."""

ODD_BODIES: Final = {
    "empty": b"",
    "blank": b" ",
    "null": b"null",
    "number": b"1",
    "text": b'"x"',
    "array": b"[]",
    "array of objects": b"[{}]",
    "no field": b"{}",
    "unfinished": b'{"',
    "two values": b"{} {}",
    "not utf-8": b'{"plate": "\xff\xfe"}',
    "utf-16": '{"plate": "x"}'.encode("utf-16"),
    "NaN": b'{"plate": NaN}',
    "deep array": b"[" * 30_000,
    "deep array, finished": b"[" * 20_000 + b"]" * 20_000,
    "deep object": b'{"plate":' * 6_000,
    "deep field": b'{"plate": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
}

ODD_IDS: Final = (
    "x",
    "0",
    "-1",
    "0" * 16,
    "f" * 16,
    "x" * 1_000,
    "null",
    "{id}",
    "%",
    "a b",
    "\x00",
    "🚚",
    "\u202e",
    "..%2F..",
    "'--",
    "0123456789abcdeF",
)
ODD_LIMITS: Final = ("", "0", "-1", "1000000", "x", "1.5", "1e400", "9" * 50, "null", "true", "[]", "\x00", "٣")
ODD_CURSORS: Final = ("", "x", "0", ".", "0.x", "-1.x", "999.", "A" * 7_900, "\x00", "🚚", "'--", "AAAA", "e30", "W10=")
ODD_BOXES: Final = (
    "",
    "x",
    "1,2,3",
    "3,2,1,0",
    "0,0,0,0",
    "179,0,181,1",
    "0,-91,1,1",
    "nan,0,1,1",
    "1e9,0,1,1",
    "1,2,3,4,5",
)
ODD_KEYS: Final = ("x" * 256, "a b", "\u00e9", "车")


@dataclass
class Caller:
    """Calls what the document describes, and collects what is answered otherwise than by a documented refusal."""

    service: Service
    ids: dict[str, str]
    document: dict[str, Any]
    sessions: dict[str, dict[str, str]]
    wrong: list[str] = field(default_factory=list)
    calls: int = 0

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Method, path and description of each."""
        for path, methods in self.document["paths"].items():
            for method, told in methods.items():
                yield method, path, told

    def parameters(self, told: dict[str, Any]) -> list[str]:
        return [self.resolved(each)["name"] for each in told["parameters"]]

    def resolved(self, part: dict[str, Any]) -> dict[str, Any]:
        found = self.document
        for step in part["$ref"].removeprefix("#/").split("/") if "$ref" in part else ():
            found = found[step]
        return found if "$ref" in part else part

    def codes(self, told: dict[str, Any], status: int) -> list[str]:
        """Return the codes that the document names for this answer."""
        content = self.resolved(told["responses"].get(str(status), {})).get("content", {})
        return list(content[PROBLEM]["schema"]["properties"]["code"]["enum"]) if PROBLEM in content else []

    def at(self, path: str) -> str:
        """The path of something that there is."""
        return path.replace("{id}", known_id(self.ids, path) or "0" * 16)

    async def call(self, method: str, path: str, *, query: str = "", body: bytes | None = None, **more: str) -> Any:
        self.calls += 1
        session = self.sessions[next((each for each in CALLERS if f"/{each}" in path), "driver")]
        headers = {**session, "X-Feed-Key": FEED_KEY, "X-Ops-Key": OPS_KEY, **more}
        if body is not None:
            headers["Content-Type"] = JSON
        url = URL(path + query, encoded=True)
        return await self.service.client.request(method, url, data=body, headers=headers)

    async def refused(self, response: ClientResponse, told: dict[str, Any], *, status: int | None, by: str) -> None:
        """Notes an answer that is no refusal of the document; any 4xx will do where ``status`` is None."""
        where = f"{told['operationId']} with {by[:80]!r}"
        if response.status < 400:
            response.close()  # It may be a stream, which never ends.
            self.wrong.append(f"{where}: {response.status}")
            return
        text = await response.text()
        if response.status != status if status else not 400 <= response.status < 500:
            self.wrong.append(f"{where}: {response.status} {text[:200]}")
            return
        problem = json.loads(text) if response.content_type == PROBLEM else {}
        if problem.get("code") not in self.codes(told, response.status):
            self.wrong.append(f"{where}: undocumented {response.status} {text[:200]}")
        elif not any("\u4e00" <= char <= "\u9fff" for char in problem["detail"]):
            self.wrong.append(f"{where}: nothing Chinese in {text[:200]}")

    async def forget_attempts(self) -> None:
        await self.service.clock.advance(HOUR_S)


@pytest_asyncio.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    service = Service(tmp_path)
    ids = await furnished(service)
    sessions = {name: await sign_in(service) for name, sign_in in CALLERS.items()}
    document = await service.get("/api/v1/openapi.json", {})
    yield Caller(service, ids, document, sessions)
    await service.stop()


def examples(told: dict[str, Any]) -> list[Any]:
    """The bodies that the document gives, where it has JSON bodies."""
    content = told.get("requestBody", {}).get("content", {})
    return [each["value"] for each in content.get(JSON, {}).get("examples", {}).values()]


def mangled(example: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The example with one thing wrong, and what that is."""
    for name, right in example.items():
        if name not in OPTIONAL:
            yield f"{name} missing", {other: value for other, value in example.items() if other != name}
        for odd in ODD_VALUES:
            if not is_alike(odd, right):
                yield f"{name}={odd!r}", example | {name: odd}


def is_alike(odd: Any, right: Any) -> bool:
    """Tell whether both have the same type, so that the odd value may be right."""
    if isinstance(odd, dict) and isinstance(right, dict):
        return all(map(is_number, right.values()))
    return (is_number(odd) and is_number(right)) or (isinstance(odd, bool) and isinstance(right, bool))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


async def test_every_field_of_every_body_may_be_wrong_in_every_way(caller: Caller) -> None:
    for method, path, told in caller.operations():
        for example in examples(told):
            for by, body in mangled(example):
                if by.endswith("missing"):
                    await caller.forget_attempts()
                response = await caller.call(method, caller.at(path), body=json.dumps(body).encode())
                await caller.refused(response, told, status=None, by=by)
    assert caller.calls > 400
    assert caller.wrong == []


async def test_a_body_that_is_not_what_a_body_is_gets_a_422(caller: Caller) -> None:
    for method, path, told in caller.operations():
        for name, body in ODD_BODIES.items() if examples(told) else ():
            response = await caller.call(method, caller.at(path), body=body)
            await caller.refused(response, told, status=422, by=name)
    assert caller.calls > 100
    assert caller.wrong == []


async def test_an_id_that_is_nobodys_gets_a_404(caller: Caller) -> None:
    for method, path, told in caller.operations():
        if "{id}" not in path:
            continue
        body = json.dumps(examples(told)[0]).encode() if examples(told) else None
        for odd in ODD_IDS:
            response = await caller.call(method, path.replace("{id}", quote(odd, safe="")), body=body)
            await caller.refused(response, told, status=404, by=odd)
        await caller.forget_attempts()
    assert caller.calls > 100
    assert caller.wrong == []


async def test_a_limit_or_a_cursor_that_no_list_knows_gets_a_422(caller: Caller) -> None:
    odd = {"limit": ODD_LIMITS, "cursor": ODD_CURSORS, "list": ("", "x", "ALL"), "q": ("x" * 21,), "bbox": ODD_BOXES}
    for method, path, told in caller.operations():
        for name in set(caller.parameters(told)) & set(odd):
            for value in odd[name]:
                query = f"?{name}={quote(value, safe='')}"
                await caller.refused(
                    await caller.call(method, caller.at(path), query=query), told, status=422, by=f"{name}={value}"
                )
    assert caller.calls > 100
    assert caller.wrong == []


async def test_an_idempotency_key_that_is_none_gets_a_422(caller: Caller) -> None:
    for method, path, told in caller.operations():
        if "Idempotency-Key" not in caller.parameters(told):
            continue
        body = json.dumps(examples(told)[0]).encode() if examples(told) else None
        for key in ODD_KEYS:
            response = await caller.call(method, caller.at(path), body=body, **{"Idempotency-Key": key})
            await caller.refused(response, told, status=422, by=key)
    assert caller.calls >= 5 * len(ODD_KEYS)
    assert caller.wrong == []
