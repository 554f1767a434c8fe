"""The repeated steps of drivers and families: bind, share, open, delegate, as the contract writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.acceptance.world import Answer, Body, Caller, World
from tests.api.conftest import plate

DRIVER: Final = "/api/v1/driver"
FAMILY: Final = "/api/v1/family"
OWNER: Final = "/api/v1/owner"
LINKS: Final = "/api/v1/links"
CURRENT: Final = f"{DRIVER}/vehicles"
HISTORY: Final = f"{DRIVER}/vehicles?list=history"
SHARED_WITH_ME: Final = f"{DRIVER}/vehicles?list=shared"
BINDINGS: Final = f"{DRIVER}/bindings"
DELEGATIONS: Final = f"{DRIVER}/delegations"

HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
SPEEDING: Final = 1 << 1
FATIGUE: Final = 1 << 2


def papers(number: int, **changes: object) -> Body:
    """Return the data on the certificates of vehicle ``number``."""
    return {"transport_cert_no": f"420100{number:06d}", "vin": f"LZZ5ELND5HD{number:06d}"} | changes


def bind_form(number: int, **changes: object) -> Body:
    return {"plate": plate(number), "plate_color": "yellow"} | papers(number) | changes


async def tries_to_bind(driver: Caller, number: int, **changes: object) -> Answer:
    return await driver.post(BINDINGS, bind_form(number, **changes))


async def binds(driver: Caller, number: int = 1) -> str:
    """The id of the binding."""
    return str((await tries_to_bind(driver, number)).ok(201)["id"])


async def unbinds(driver: Caller, binding: str) -> None:
    assert (await driver.delete(f"{BINDINGS}/{binding}")).ok(204) == {}


async def rebinds(driver: Caller, binding: str) -> Answer:
    return await driver.post(f"{BINDINGS}/{binding}/rebind")


async def had(driver: Caller, number: int) -> str:
    """The vehicle was bound and let go; the id of the binding."""
    binding = await binds(driver, number)
    await unbinds(driver, binding)
    return binding


async def tries_to_share(driver: Caller, binding: str, duration: object = "3d", **more: object) -> Answer:
    return await driver.post(f"{BINDINGS}/{binding}/shares", {"duration": duration} | more)


async def shares(driver: Caller, binding: str, duration: str = "3d", **more: object) -> Body:
    """The share with its token."""
    return (await tries_to_share(driver, binding, duration, **more)).ok(201)


async def cancels(driver: Caller, share_id: str) -> None:
    (await driver.delete(f"{DRIVER}/shares/{share_id}")).ok(204)


async def previews(caller: Caller, token: object) -> Answer:
    return await caller.post(f"{LINKS}/preview", {"token": token})


async def opens(caller: Caller, token: object) -> Answer:
    return await caller.post(f"{LINKS}/open", {"token": token})


async def looks(viewer: Caller, share_id: str, **headers: str) -> Answer:
    return await viewer.get(f"{FAMILY}/shares/{share_id}", **headers)


async def alerts(viewer: Caller, share_id: str) -> list[Body]:
    return (await viewer.get(f"{FAMILY}/shares/{share_id}/alerts")).items


async def delegates(driver: Caller, number: int, **changes: object) -> Body:
    """The delegation with its token."""
    form = {"plate": plate(number), "plate_color": "yellow"} | changes
    return (await driver.post(DELEGATIONS, form)).ok(201)


async def binds_through(holder: Caller, delegation: str, number: int, **changes: object) -> Answer:
    return await holder.post(f"{FAMILY}/delegations/{delegation}/bind", papers(number, **changes))


async def state(caller: Caller, token: str) -> str:
    """Return a link's state, as its preview shows it."""
    return str((await previews(caller, token)).ok()["state"])


async def one(caller: Caller, path: str, wanted: str) -> Body:
    """The item of this id in a list."""
    (found,) = [each for each in (await caller.get(path)).items if each["id"] == wanted]
    return found


async def actions(caller: Caller) -> list[str]:
    """List the actions in the account's audit list, newest first."""
    return [each["action"] for each in (await caller.get("/api/v1/me/audit?limit=200")).items]


@dataclass(frozen=True)
class Watched:
    """A driver, the family member who opened the driver's share, and the share."""

    driver: Caller
    viewer: Caller
    binding: str
    share: Body

    @property
    def id(self) -> str:
        return str(self.share["id"])

    async def view(self) -> Body:
        return (await looks(self.viewer, self.id)).ok()

    async def online(self) -> bool:
        return bool((await self.view())["online"])


async def watched(
    world: World, number: int = 1, duration: str = "3d", *, driver: int = 1, viewer: int = 11, **more: object
) -> Watched:
    """Truck ``number`` is shared and the link opened."""
    by, to = await world.natural(driver), await world.natural(viewer)
    binding = await binds(by, number)
    share = await shares(by, binding, duration, **more)
    (await opens(to, share["token"])).ok()
    return Watched(by, to, binding, share)
