"""Tests every call of the document with existing ids, by every caller that they do not concern."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import pytest_asyncio
from aiohttp import ClientResponse

from tests.api.callers import CALLERS, furnished, known_id, stranger
from tests.api.conftest import (
    START,
    Service,
    business_line,
    citizen_id,
    key,
    mobile,
    person_line,
    phone,
    plate,
    real_name,
    row,
    uscc,
    vehicle_line,
)
from tests.api.drivers import bind, opened, share
from tests.attacks.document import JSON, Body, Operation, operations

NO_IDS_IN_QUERIES: Final = {"limit", "list", "only"}
"""Parameters without ids. A parameter with an id stands in ``Reached.queries``, with a stranger's id."""
NO_IDS_IN_BODIES: Final = {
    "kind",
    "wechat_code",
    "phone_code",
    "terms_version",
    "username",
    "password",
    "real_name",
    "citizen_id",
    "plate_color",
    "duration",
    "call_me",
    "transport_cert_no",
}
"""The same for bodies, and ``Reached.bodies``. (Papers and secrets are what R11 and R61 are about.)"""
LEFT_OUT: Final = {
    "/dev/clock": "only on a clock that a test moves",
    "/api/v1/sessions": "names nothing but the caller's own sessions",
    "/api/v1/sessions/current": "the same",
}
OF_NOBODY: Final = ("attempts", "idempotency", "session.used")
"""Kinds of documents in which a refused call may be counted."""
REFUSED: Final = (401, 403, 404)
RIGHT: Final = {
    "/api/v1/sessions": "family",
    "/api/v1/driver": "driver",
    "/api/v1/family": "family",
    "/api/v1/owner": "owner",
}
"""The people that a path's ids concern, by the beginning of the path."""


@dataclass
class Reached:
    """A household that is reached for, and those who reach."""

    service: Service
    ids: Mapping[str, str]
    victims: Mapping[str, Mapping[str, str]]
    """The headers of each of the household, by role."""
    others: Mapping[str, Mapping[str, str]]
    """Headers of the others: one of each role with objects of its own, one unregistered, one without a session."""
    token: str
    cursors: Mapping[str, str]
    """Cursors of the household's own lists, by path."""
    own: frozenset[str]
    """The accounts of the others: their documents may change."""
    wrong: list[str] = field(default_factory=list)
    calls: int = 0

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the texts that strangers may not read: vehicle 1's, its driver's, the viewer's and the owner's."""
        return (
            plate(1),
            key(1),
            phone(1),
            "LZZ5ELND5HD000001",
            "420100000001",
            *(each(number) for each in (real_name, mobile, citizen_id) for number in (1, 11)),
            str(business_line(1)["name"]),
            "420100000001",
            "4201000",
            uscc(1),
            "114.4",
            *self.ids.values(),
            self.token,
        )

    def queries(self, operation: Operation) -> list[str]:
        """Each with one parameter that names something of the household's."""
        aimed = {
            "cursor": self.cursors.get(operation.path, ""),
            "q": plate(1),
            "bbox": "114,30,115,31",
        }
        names = [name for name in operation.parameters("query") if name not in NO_IDS_IN_QUERIES]
        unknown = set(names) - set(aimed)
        assert not unknown, f"{operation.name}: whose are {unknown}? Say so in NO_IDS_IN_QUERIES or here"
        return ["", *(f"?{name}={quote(aimed[name], safe='')}" for name in names if aimed[name])]

    def bodies(self, operation: Operation) -> list[Body | None]:
        """The document's examples, aimed at the household."""
        aimed = {"plate": plate(1), "vin": "LZZ5ELND5HD000099", "token": self.token}
        unknown = {name for body in operation.bodies for name in body} - set(aimed) - NO_IDS_IN_BODIES
        assert not unknown, f"{operation.name}: whose are {unknown}? Say so in NO_IDS_IN_BODIES or here"
        return [{name: aimed.get(name, value) for name, value in body.items()} for body in operation.bodies] or [None]

    def path(self, operation: Operation) -> str:
        """Return the path with the household's ids."""
        path = operation.path
        for place in operation.places:
            known = known_id(self.ids, path)
            assert known is not None, f"{operation.name}: nothing of that kind exists; add one to furnished()"
            path = path.replace(f"{{{place}}}", known)
        return path

    def strangers(self, operation: Operation) -> Iterable[tuple[str, Mapping[str, str]]]:
        """Yield the callers that this call's ids do not concern, including the household's people in other roles."""
        right = next((who for start, who in RIGHT.items() if operation.path.startswith(start)), "")
        yield from self.others.items()
        if operation.places:
            yield from ((f"the household's {who}", headers) for who, headers in self.victims.items() if who != right)

    async def reach(self, operation: Operation) -> None:
        """Notes whatever is answered or changed that should not be."""
        for query in self.queries(operation):
            for body in self.bodies(operation):
                for who, headers in self.strangers(operation):
                    self.calls += 1
                    sent = f"{query}{json.dumps(body, ensure_ascii=False)}"
                    content: dict[str, Any] = {} if body is None else {"json": body}
                    url = self.path(operation) + query
                    call = self.service.client.request(operation.method, url, headers=headers, **content)
                    async with call as response:
                        await self._judge(f"{operation.name}{query} by {who}", operation, response, sent, who)

    async def _judge(self, where: str, operation: Operation, response: ClientResponse, sent: str, who: str) -> None:
        if response.status >= 500 or (operation.places and response.status not in REFUSED):
            self.wrong.append(f"{where}: {response.status}")
            return
        if response.content_type == "text/event-stream":
            self.wrong.append(f"{where}: a stream")
            return
        if "html" in response.content_type or operation.path in PUBLIC:
            return
        if who.startswith("the household") and response.status < 400:
            return
        text = await response.text()
        told = [secret for secret in self.secrets if secret in text and secret not in sent]
        if told:
            self.wrong.append(f"{where}: tells {told}")


PUBLIC: Final = {"/api/v1/openapi.json"}
"""The same for every caller; its examples look like real plates."""


def documents(folder: Path) -> dict[tuple[str, str], bytes]:
    """Return the store's documents, read past the service."""
    with closing(sqlite3.connect(f"file:{folder / 'service.db'}?mode=ro", uri=True)) as base:
        rows = base.execute("SELECT kind, key, record FROM documents").fetchall()
    return {(kind, name): record for kind, name, record in rows if kind not in OF_NOBODY}


@pytest_asyncio.fixture
async def reached(tmp_path: Path) -> AsyncIterator[Reached]:
    service = Service(tmp_path)
    ids = await furnished(service)
    await service.register(business_line(2), vehicle_line(4, owner=2), person_line(2), person_line(12, qualified=False))
    await service.register(business_line(3))
    victims = {name: await CALLERS[name](service) for name in ("driver", "family", "owner")}
    others: dict[str, Mapping[str, str]] = {
        "another driver": await service.sign_in_driver(2),
        "another family member": await service.sign_in_person(mobile(12)),
        "another business": await service.sign_in(2),
        "a business without vehicles": await service.sign_in(3),
        "somebody unregistered": await stranger(service),
    }
    await service.report(row(4, at=START + 60, lon=120_100_000, lat=30_200_000))
    theirs = await share(service, others["another driver"], await bind(service, others["another driver"], 4))
    await opened(service, others["another family member"], theirs["token"])
    more = await share(service, victims["driver"], ids["/api/v1/driver/bindings"])
    await opened(service, victims["family"], more["token"])
    own = frozenset([await service.account_id(headers) for headers in others.values()])
    cursors = await cursors_of(service, victims)
    yield Reached(service, ids, victims, others | {"nobody": {}}, more["token"], cursors, own)
    await service.stop()


async def cursors_of(service: Service, victims: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the cursor after the first item of each of the household's lists, where there is one."""
    cursors: dict[str, str] = {}
    for operation in operations(await service.get("/api/v1/openapi.json", {})):
        if "cursor" not in operation.parameters("query") or operation.places:
            continue
        for headers in victims.values():
            response = await service.client.get(f"{operation.path}?limit=1", headers=headers)
            if response.status == 200 and (cursor := (await response.json())["next"]):
                cursors[operation.path] = cursor
    return cursors


async def attacked(reached: Reached) -> list[Operation]:
    """Return the calls to attack; those that create something come last, as lists would show it."""
    found = operations(await reached.service.get("/api/v1/openapi.json", {}))
    here = [each for each in found if each.path not in LEFT_OUT]
    return sorted(here, key=lambda each: each.method == "post" and not each.places)


async def test_nobody_reads_or_changes_what_is_somebody_elses_by_any_call(reached: Reached) -> None:
    before = documents(reached.service.folder)
    for operation in await attacked(reached):
        await reached.reach(operation)
        after = documents(reached.service.folder)
        changed = {(kind, name) for (kind, name), record in before.items() if after.get((kind, name)) != record}
        touched = {each for each in changed if each[1] not in reached.own}
        if touched or (operation.places and after.keys() - before.keys()):
            reached.wrong.append(f"{operation.name} changes {touched}, adds {after.keys() - before.keys()}")
        before = after
    assert reached.wrong == []
    assert reached.calls > 250


async def test_the_household_itself_is_served_by_the_same_calls(reached: Reached) -> None:
    """Or the test above would see nothing."""
    service, told = reached.service, ""
    for operation in await attacked(reached):
        if operation.method == "get" and not operation.path.endswith("/live"):
            for headers in reached.victims.values():
                told += await (await service.client.get(reached.path(operation), headers=headers)).text()
    unseen = {secret for secret in reached.secrets if secret not in told}
    whole = {phone(1), mobile(1), mobile(11), citizen_id(1), citizen_id(11), reached.token, "4201000"}
    assert unseen <= whole | {"LZZ5ELND5HD000001", "420100000001", uscc(1), real_name(11)}
    assert {plate(1), "114.4", real_name(1), key(1)}.isdisjoint(unseen)
    assert len(reached.cursors) >= 4


def test_a_call_with_an_id_of_no_known_kind_is_found() -> None:
    told = {"parameters": [{"name": "fleet", "in": "query"}]}
    new = Operation("get", "/api/v1/owner/fleets/{id}", told, {})
    reached = Reached(Service(Path()), {}, {}, {}, "", {}, frozenset())
    for look in (reached.path, reached.queries):
        with pytest.raises(AssertionError, match="/api/v1/owner/fleets"):
            look(new)
    body = {"requestBody": {"content": {JSON: {"examples": {"one": {"value": {"vehicle_id": "x"}}}}}}}
    with pytest.raises(AssertionError, match="vehicle_id"):
        reached.bodies(Operation("post", "/api/v1/owner/fleets", body, {}))
