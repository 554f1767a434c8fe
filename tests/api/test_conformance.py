"""Tests that the answers of an ordinary day are those that the document promises."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from openapi_schema_validator import OAS31Validator

from tests.api.callers import OPS_KEY
from tests.api.conftest import Service, citizen_id, key, mobile, person_line, plate, real_name, row
from tests.api.drivers import bind_body, papers

Headers = dict[str, str]
API = "/api/v1"


@dataclass
class Reader:
    """Holds every answer against the document."""

    service: Service
    document: dict[str, Any]
    seen: set[str] = field(default_factory=set)

    async def call(self, method: str, path: str, headers: Headers | None = None, body: object = None) -> Any:
        """The answer of a success, decoded."""
        response = await self.service.client.request(method, path, headers=headers or {}, json=body)
        text = await response.text()
        assert response.status < 400, f"{method} {path}: {text}"
        template = next(each for each in self.document["paths"] if self.fits(each, method, path.partition("?")[0]))
        told = self.document["paths"][template][method.lower()]
        self.seen.add(told["operationId"])
        content = told["responses"][str(response.status)].get("content", {})
        assert bool(content) == bool(text), f"{method} {path}: {text}"
        if response.content_type != "application/json":
            assert not content or response.content_type in content
            return text
        value = await response.json()
        whole = {**content["application/json"]["schema"], "components": self.document["components"]}
        errors = [
            f"{method} {path}: {each.json_path} {each.message}" for each in OAS31Validator(whole).iter_errors(value)
        ]
        assert errors == []
        return value

    def fits(self, template: str, method: str, path: str) -> bool:
        pattern = re.sub(r"{\w+}", "[^/]+", template)
        return re.fullmatch(pattern, path) is not None and method.lower() in self.document["paths"][template]

    async def sign_in(self, **proof: str) -> Headers:
        body = {**proof, "terms_version": (await self.call("GET", f"{API}/terms"))["version"]}
        return {"Authorization": f"Bearer {(await self.call('POST', f'{API}/sessions', body=body))['token']}"}


async def test_the_answers_of_an_ordinary_day_are_as_described(service: Service) -> None:
    reader = Reader(service, await service.get(f"{API}/openapi.json", {}))
    await service.register(person_line(13, qualified=False, phone=mobile(14)))
    await service.report(row(1), row(1, at=1_760_000_030, speed=1_250, alarms=2), row(2))
    driver = await reader.sign_in(kind="natural", wechat_code=f"sandbox:{mobile(1)}")
    viewer = await reader.sign_in(kind="one_click", phone_code=f"sandbox:{mobile(11)}")
    owner = await reader.sign_in(kind="legal", username="owner1", password="right-1")
    await drive(reader, driver)
    await watch(reader, driver, viewer)
    await delegate(reader, driver, viewer)
    await own(reader, owner)
    await register(reader)
    for headers in (driver, viewer, owner):
        for path in ("/me", "/me/certificates", "/me/audit?limit=2"):
            await reader.call("GET", API + path, headers)
    for path in ("/healthz", "/readyz", "/health", "/metrics", "/docs", "/docs/docs.css", "/docs/docs.js"):
        await reader.call("GET", path)
    await reader.call("GET", f"{API}/web-config")
    await reader.call("GET", f"{API}/openapi.json")
    await reader.call("POST", "/dev/clock", body={"advance_s": 1})
    await end_sessions(reader, driver)
    await reader.call("DELETE", f"{API}/sessions/current", driver)
    await operate(reader)
    everything = {told["operationId"] for path in reader.document["paths"].values() for told in path.values()}
    left_out = {name for name in everything if name.endswith("_live")} | {"post_telemetry"}
    assert everything - reader.seen == left_out


async def end_sessions(reader: Reader, driver: Headers) -> None:
    """End one of two other sessions, then the other."""
    for _ in range(2):
        await reader.sign_in(kind="one_click", phone_code=f"sandbox:{mobile(1)}")
    first, *_ = (await reader.call("GET", f"{API}/sessions?limit=2", driver))["items"]
    await reader.call("DELETE", f"{API}/sessions/{first['id']}", driver)
    assert await reader.call("DELETE", f"{API}/sessions", driver) == {"ended": 1}


async def drive(reader: Reader, driver: Headers) -> None:
    """Bind, unbind and bind again."""
    bindings = f"{API}/driver/bindings"
    binding = await reader.call("POST", bindings, driver, bind_body(1))
    await reader.call("GET", f"{bindings}/{binding['id']}", driver)
    await reader.call("DELETE", f"{bindings}/{binding['id']}", driver)
    for which in ("current", "history", "shared"):
        await reader.call("GET", f"{API}/driver/vehicles?list={which}", driver)
    await reader.call("POST", f"{bindings}/{binding['id']}/rebind", driver)


async def watch(reader: Reader, driver: Headers, viewer: Headers) -> None:
    """Share, open, watch, cancel."""
    binding = (await reader.call("GET", f"{API}/driver/vehicles", driver))["items"][0]["id"]
    shares = [
        await reader.call("POST", f"{API}/driver/bindings/{binding}/shares", driver, {"duration": "3d"})
        for _ in range(2)
    ]
    await reader.call("POST", f"{API}/links/preview", body={"token": shares[0]["token"]})
    await reader.call("POST", f"{API}/links/open", viewer, {"token": shares[0]["token"]})
    share = f"{API}/family/shares/{shares[0]['id']}"
    for path in (share, f"{share}/alerts", f"{API}/family/shares"):
        await reader.call("GET", path, viewer)
    for path in (f"{API}/driver/shares", f"{API}/driver/bindings/{binding}"):
        await reader.call("GET", path, driver)
    await reader.call("DELETE", f"{API}/driver/shares/{shares[1]['id']}", driver)
    await reader.call("DELETE", f"{API}/driver/bindings/{binding}/shares", driver)


async def delegate(reader: Reader, driver: Headers, viewer: Headers) -> None:
    """Carry out one delegation, and withdraw another."""
    wanted = [{"plate": plate(number), "plate_color": "yellow"} for number in (2, 3)]
    delegations = [await reader.call("POST", f"{API}/driver/delegations", driver, each) for each in wanted]
    await reader.call("POST", f"{API}/links/preview", viewer, {"token": delegations[0]["token"]})
    await reader.call("POST", f"{API}/links/open", viewer, {"token": delegations[0]["token"]})
    await reader.call("POST", f"{API}/family/delegations/{delegations[0]['id']}/bind", viewer, papers(2))
    await reader.call("GET", f"{API}/family/delegations", viewer)
    await reader.call("DELETE", f"{API}/driver/delegations/{delegations[1]['id']}", driver)
    await reader.call("GET", f"{API}/driver/delegations", driver)


async def own(reader: Reader, owner: Headers) -> None:
    """Look at the vehicles, and send a driver away."""
    await reader.call("GET", f"{API}/owner/vehicles", owner)
    await reader.call("GET", f"{API}/owner/summary", owner)
    await reader.call("GET", f"{API}/owner/map?bbox=113,29,116,32", owner)
    bindings = (await reader.call("GET", f"{API}/owner/vehicles/{key(2)}", owner))["bindings"]
    await reader.call("DELETE", f"{API}/owner/bindings/{bindings[0]['id']}", owner)


async def register(reader: Reader) -> None:
    """Register a new person."""
    newcomer = await reader.sign_in(kind="one_click", phone_code=f"sandbox:{mobile(13)}")
    body = {"real_name": real_name(13), "citizen_id": citizen_id(13), "phone_code": f"sandbox:{mobile(13)}"}
    await reader.call("POST", f"{API}/registration", newcomer, body)


async def operate(reader: Reader) -> None:
    """Operators look at the service."""
    await reader.service.restart_with(ops_key=OPS_KEY)
    headers = {"X-Ops-Key": OPS_KEY}
    await reader.call("GET", "/health", headers)
