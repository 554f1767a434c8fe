"""The repeated steps of drivers and families in tests: bind, share, open, over real HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import ClientResponse

from tests.api.conftest import Service, mobile, plate

Headers = Mapping[str, str]
Body = dict[str, Any]

VEHICLES = "/api/v1/driver/vehicles"
BINDINGS = "/api/v1/driver/bindings"
SHARES = "/api/v1/driver/shares"
DELEGATIONS = "/api/v1/driver/delegations"
FAMILY_SHARES = "/api/v1/family/shares"
FAMILY_DELEGATIONS = "/api/v1/family/delegations"


def papers(number: int, **changes: object) -> Body:
    """Return the data on a vehicle's certificates."""
    return {"transport_cert_no": f"420100{number:06d}", "vin": f"LZZ5ELND5HD{number:06d}"} | changes


def bind_body(number: int, **changes: object) -> Body:
    return {"plate": plate(number), "plate_color": "yellow"} | papers(number) | changes


async def post(service: Service, path: str, headers: Headers, body: object = None, **more: str) -> ClientResponse:
    return (
        await service.client.post(path, json=body, headers={**headers, **more})
        if body is not None
        else (await service.client.post(path, headers={**headers, **more}))
    )


async def made(response: ClientResponse) -> Body:
    """The body of a 201."""
    assert response.status == 201, await response.text()
    body: Body = await response.json()
    return body


async def delete(service: Service, path: str, headers: Headers) -> ClientResponse:
    return await service.client.delete(path, headers=headers)


async def bind(service: Service, headers: Headers, number: int = 1) -> str:
    """The id of the new binding."""
    return str((await made(await post(service, BINDINGS, headers, bind_body(number))))["id"])


async def share(service: Service, headers: Headers, binding_id: str, duration: str = "3d") -> Body:
    """A new share, with its token."""
    return await made(await post(service, f"{BINDINGS}/{binding_id}/shares", headers, {"duration": duration}))


async def open_link(service: Service, headers: Headers, token: str) -> ClientResponse:
    return await post(service, "/api/v1/links/open", headers, {"token": token})


async def opened(service: Service, headers: Headers, token: str) -> Body:
    """Return the view that the link shows when it is opened."""
    response = await open_link(service, headers, token)
    assert response.status == 200, await response.text()
    body: Body = await response.json()
    return body


async def preview(service: Service, token: str, headers: Headers | None = None) -> ClientResponse:
    return await post(service, "/api/v1/links/preview", headers or {}, {"token": token})


async def items(service: Service, path: str, headers: Headers) -> list[Body]:
    """Return a list's items."""
    found: list[Body] = (await service.get(path, headers))["items"]
    return found


async def family(service: Service, number: int = 11) -> dict[str, str]:
    """The headers of a registered family member."""
    return await service.sign_in_person(mobile(number))


async def watched_share(
    service: Service, number: int = 1, duration: str = "3d"
) -> tuple[dict[str, str], dict[str, str], Body]:
    """A driver, a family member, and the share that the one opened to the other."""
    driver, viewer = await service.sign_in_driver(number), await family(service)
    shared = await share(service, driver, await bind(service, driver, number), duration)
    await opened(service, viewer, shared["token"])
    return driver, viewer, shared
