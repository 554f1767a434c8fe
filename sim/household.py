"""The demo's household: a driver, a family member and an owner, made over HTTP as any client makes them."""

from __future__ import annotations

from typing import Final, NamedTuple, Self, TypeVar

import aiohttp
import msgspec

from sim.owners import ServiceError
from sim.registry_lines import (
    VEHICLES_PER_DRIVER,
    Identity,
    business,
    business_of,
    driver,
    family_member,
    identity,
)

DURATION: Final = "7d"
OTHERS_KEPT: Final = 1
"""Bindings of earlier demos that are kept.

A driver has room for three (R12): this truck and the delegated one are the others.
"""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)

T = TypeVar("T")


class Household(NamedTuple):
    """Tokens and addresses, ready for curl and for a browser."""

    plate: str
    driver_phone: str
    driver_token: str
    binding_id: str
    family_phone: str
    family_token: str
    share_id: str
    owner_name: str
    owner_password: str
    owner_token: str
    free_link: str
    """A second share of the truck, not opened yet."""
    delegation_link: str
    """A link for another truck, whose papers a family member may fill in."""
    papers: Identity
    """The papers of the other truck."""


class _Terms(msgspec.Struct):
    version: str


class _Session(msgspec.Struct):
    token: str


class _Vehicle(msgspec.Struct):
    plate: str


class _Binding(msgspec.Struct):
    id: str
    vehicle: _Vehicle


class _Bindings(msgspec.Struct):
    items: list[_Binding]


class _Share(msgspec.Struct):
    id: str
    token: str
    link: str


class _Delegation(msgspec.Struct):
    id: str
    status: str
    link: str | None = None


class _Delegations(msgspec.Struct):
    items: list[_Delegation]


class _Any(msgspec.Struct):
    """An answer whose content is not needed."""


async def make_household(url: str, *, seed: int, truck: int = 0) -> Household:
    """Sign three people in, bind this truck of the seed's fleet, share it and open a share.

    On a store that has these people already, make fresh links. Raises ``ServiceError``.
    """
    async with _Client(url) as client:
        owner, home = business(seed, business_of(truck)), family_member(seed)
        wheel, other = driver(seed, truck // VEHICLES_PER_DRIVER), truck ^ 1
        owner_token = await client.sign_in(kind="legal", username=owner.username, password=owner.password)
        driver_token = await client.sign_in(kind="natural", wechat_code=f"sandbox:{wheel.phone}")
        family_token = await client.sign_in(kind="natural", wechat_code=f"sandbox:{home.phone}")
        binding_id = await _bound(client, driver_token, identity(seed, truck))
        path = f"/api/v1/driver/bindings/{binding_id}/shares"
        shared = await client.call("POST", path, driver_token, _Share, duration=DURATION)
        free = await client.call("POST", path, driver_token, _Share, duration=DURATION)
        await client.call("POST", "/api/v1/links/open", family_token, _Any, token=shared.token)
        return Household(
            plate=identity(seed, truck).plate,
            driver_phone=wheel.phone,
            driver_token=driver_token,
            binding_id=binding_id,
            family_phone=home.phone,
            family_token=family_token,
            share_id=shared.id,
            owner_name=owner.username,
            owner_password=owner.password,
            owner_token=owner_token,
            free_link=free.link,
            delegation_link=await _delegated(client, driver_token, identity(seed, other)),
            papers=identity(seed, other),
        )


async def _bound(client: _Client, token: str, truck: Identity) -> str:
    """Return the binding of this truck. Cancels shares of an earlier demo (R19) and makes room (R12)."""
    bindings = (await client.call("GET", "/api/v1/driver/vehicles", token, _Bindings)).items
    for binding in bindings:
        await client.call("DELETE", f"/api/v1/driver/bindings/{binding.id}/shares", token, _Any)
    for binding in bindings:
        if binding.vehicle.plate == truck.plate:
            return binding.id
    for binding in bindings[OTHERS_KEPT:]:
        await client.call("DELETE", f"/api/v1/driver/bindings/{binding.id}", token, _Any)
    form = {"plate": truck.plate, "plate_color": truck.plate_color}
    papers = {"transport_cert_no": truck.transport_cert_no, "vin": truck.vin}
    return (await client.call("POST", "/api/v1/driver/bindings", token, _Binding, **form, **papers)).id


async def _delegated(client: _Client, token: str, truck: Identity) -> str:
    """Return the link of a fresh delegation, after withdrawing earlier ones so that they do not pile up."""
    path = "/api/v1/driver/delegations"
    for delegation in (await client.call("GET", path, token, _Delegations)).items:
        if delegation.status in ("unopened", "open"):
            await client.call("DELETE", f"{path}/{delegation.id}", token, _Any)
    bindings = await client.call("GET", "/api/v1/driver/vehicles", token, _Bindings)
    for binding in bindings.items:
        if binding.vehicle.plate == truck.plate:
            await client.call("DELETE", f"/api/v1/driver/bindings/{binding.id}", token, _Any)
    fresh = await client.call("POST", path, token, _Delegation, plate=truck.plate, plate_color=truck.plate_color)
    return fresh.link or ""


class _Client:
    """A client of the service's HTTP contract; a context manager."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=_TIMEOUT)
        self._terms = (await self.call("GET", "/api/v1/terms", "", _Terms)).version
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def sign_in(self, **form: str) -> str:
        """Sign in and return the new session's token."""
        body = form | {"terms_version": self._terms}
        return (await self.call("POST", "/api/v1/sessions", "", _Session, **body)).token

    async def call(self, method: str, path: str, who: str, answer: type[T], /, **body: str) -> T:
        """Make a call and return the answer's body; ``who`` is the caller's token.

        Raises ``ServiceError``, also for a refusal.
        """
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        try:
            async with self._http.request(method, self._url + path, headers=headers, json=body or None) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServiceError(f"{method} {path} broke off ({type(error).__name__})") from error
        if response.status >= 400:
            raise ServiceError(f"{method} {path} answered {response.status}: {raw[:200].decode('utf-8', 'replace')}")
        return msgspec.json.decode(raw or b"{}", type=answer)
