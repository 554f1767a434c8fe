"""Who shares a truck with whom in the demo? A driver, somebody at home and an owner, made over HTTP as anybody would."""

from __future__ import annotations

from typing import Final, NamedTuple, Self, TypeVar

import aiohttp
import msgspec

from sim.owners import ServiceError
from sim.registry_lines import business, driver, family_member, identity

DURATION: Final = "7d"
TRUCK: Final = 0
OTHER_TRUCK: Final = 1
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
    """A second share of the truck, that nobody has opened."""
    delegation_link: str
    """Of another truck, whose papers somebody at home may fill in."""


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
    """An answer of which nothing is needed."""


async def make_household(url: str, *, seed: int) -> Household:
    """Signs three people in, binds, shares and opens; again on a store that has them, it begins with fresh links.

    Raises ``ServiceError``.
    """
    async with _Client(url) as client:
        owner, home, wheel = business(seed, 0), family_member(seed), driver(seed, 0)
        owner_token = await client.sign_in(kind="legal", username=owner.username, password=owner.password)
        driver_token = await client.sign_in(kind="natural", wechat_code=f"sandbox:{wheel.phone}")
        family_token = await client.sign_in(kind="natural", wechat_code=f"sandbox:{home.phone}")
        binding_id = await _bound(client, driver_token, seed)
        path = f"/api/v1/driver/bindings/{binding_id}/shares"
        await client.call("DELETE", path, driver_token, _Any)
        shared = await client.call("POST", path, driver_token, _Share, duration=DURATION)
        free = await client.call("POST", path, driver_token, _Share, duration=DURATION)
        await client.call("POST", "/api/v1/links/open", family_token, _Any, token=shared.token)
        return Household(
            plate=identity(seed, TRUCK).plate,
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
            delegation_link=await _delegated(client, driver_token, seed),
        )


async def _bound(client: _Client, token: str, seed: int) -> str:
    truck = identity(seed, TRUCK)
    bindings = await client.call("GET", "/api/v1/driver/vehicles", token, _Bindings)
    for binding in bindings.items:
        if binding.vehicle.plate == truck.plate:
            return binding.id
    bound = await client.call(
        "POST",
        "/api/v1/driver/bindings",
        token,
        _Binding,
        plate=truck.plate,
        plate_color=truck.plate_color,
        transport_cert_no=truck.transport_cert_no,
        vin=truck.vin,
    )
    return bound.id


async def _delegated(client: _Client, token: str, seed: int) -> str:
    """The link of a fresh delegation; earlier ones are withdrawn, so that they do not pile up."""
    path, truck = "/api/v1/driver/delegations", identity(seed, OTHER_TRUCK)
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
        """The token of a new session."""
        body = form | {"terms_version": self._terms}
        return (await self.call("POST", "/api/v1/sessions", "", _Session, **body)).token

    async def call(self, method: str, path: str, who: str, answer: type[T], /, **body: str) -> T:
        """The answer's body; ``who`` is the caller's token. Raises ``ServiceError``, also for a refusal."""
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        try:
            async with self._http.request(method, self._url + path, headers=headers, json=body or None) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServiceError(f"{method} {path} broke off ({type(error).__name__})") from error
        if response.status >= 400:
            raise ServiceError(f"{method} {path} answered {response.status}: {raw[:200].decode('utf-8', 'replace')}")
        return msgspec.json.decode(raw or b"{}", type=answer)
