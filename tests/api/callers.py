"""The callers in the tests that go through the whole document, and the objects that they find."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tests.api.conftest import START, Service, business_line, key, mobile, person_line, plate, row, vehicle_line
from tests.api.drivers import DELEGATIONS, bind, made, opened, post, share

OPS_KEY: Final = "ops-key-of-the-tests"
DRIVER: Final = "/api/v1/driver"
FAMILY: Final = "/api/v1/family"
OWNER: Final = "/api/v1/owner"

Headers = dict[str, str]


async def driver(service: Service) -> Headers:
    return await service.sign_in_driver(1)


async def family(service: Service) -> Headers:
    return await service.sign_in_person(mobile(11))


async def stranger(service: Service) -> Headers:
    """Sign in a person who is not registered."""
    return await service.one_click(mobile(99))


CALLERS: Final[Mapping[str, Callable[[Service], Awaitable[Headers]]]] = {
    "driver": driver,
    "family": family,
    "links": family,
    "owner": Service.sign_in,
    "registration": stranger,
}
"""Ids by a word of the path."""


async def furnished(service: Service) -> dict[str, str]:
    """A service with a bit of everything, started; the ids of some of it, by path."""
    await service.start()
    await service.restart_with(ops_key=OPS_KEY)
    await service.register(business_line(1), *(vehicle_line(number) for number in (1, 2, 3)))
    await service.register(person_line(1), person_line(11, qualified=False))
    await service.report(row(1), row(1, at=START + 30, speed=1_200, alarms=2))
    by, viewer = await driver(service), await family(service)
    binding = await bind(service, by, 1)
    shared = await share(service, by, binding)
    await opened(service, viewer, shared["token"])
    delegated = await made(await post(service, DELEGATIONS, by, {"plate": plate(2), "plate_color": "yellow"}))
    await opened(service, viewer, delegated["token"])
    (session,) = (await service.get("/api/v1/sessions", viewer))["items"]
    return {
        "/api/v1/sessions": session["id"],
        f"{DRIVER}/bindings": binding,
        f"{DRIVER}/shares": shared["id"],
        f"{DRIVER}/delegations": delegated["id"],
        f"{FAMILY}/shares": shared["id"],
        f"{FAMILY}/delegations": delegated["id"],
        f"{OWNER}/vehicles": key(1),
        f"{OWNER}/bindings": binding,
    }


def known_id(ids: Mapping[str, str], path: str) -> str | None:
    """Return an id that may stand for ``{id}`` in this path."""
    return next((known for start, known in ids.items() if path.startswith(f"{start}/{{id}}")), None)
