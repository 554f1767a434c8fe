"""Makes a benchmark's households by the calls that apps make: drivers share their trucks, and families watch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import ClientSession, TCPConnector

from bench.load import phone
from bench.subject import plate, vehicle_line, vin
from domain.identifiers import citizen_id_check_char

API: Final = "/api/v1"
AT_ONCE: Final = 32
"""Households made at a time: each waits for the disk."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A share that a viewer has opened."""

    vehicle: int
    path: str
    token: str
    """The token of the viewer's session."""


def registry(vehicles: int, drivers: int) -> Iterator[str]:
    """Yield the registry lines of this many trucks, and of a driver for each of the first ones."""
    for number in range(vehicles):
        yield vehicle_line(number, phone(number))
    for number in range(drivers):
        yield _driver_line(number)


async def move_in(address: str, vehicles: Sequence[int]) -> list[Opened]:
    """Bind and share each of these trucks by its driver, and open each link by one family member."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with ClientSession(f"http://{address}", connector=TCPConnector(limit=AT_ONCE)) as session:
        terms = (await _call(session, "GET", f"{API}/terms"))["version"]

        async def one(number: int) -> Opened:
            async with gate:
                return await _household(session, terms, number)

        return list(await asyncio.gather(*map(one, vehicles)))


async def _household(session: ClientSession, terms: str, number: int) -> Opened:
    wechat = {"kind": "natural", "wechat_code": f"sandbox:{_mobile(number)}", "terms_version": terms}
    driver = (await _call(session, "POST", f"{API}/sessions", wechat))["token"]
    papers = {"transport_cert_no": f"{110_000_000_000 + number}", "vin": vin(number)}
    vehicle = {"plate": plate(number), "plate_color": "yellow", **papers}
    binding = (await _call(session, "POST", f"{API}/driver/bindings", vehicle, driver))["id"]
    shares = f"{API}/driver/bindings/{binding}/shares"
    share = await _call(session, "POST", shares, {"duration": "3d"}, driver)
    one_click = {"kind": "one_click", "phone_code": f"sandbox:{_mobile(number, viewer=True)}", "terms_version": terms}
    viewer = (await _call(session, "POST", f"{API}/sessions", one_click))["token"]
    await _call(session, "POST", f"{API}/links/open", {"token": share["token"]}, viewer)
    return Opened(number, f"{API}/family/shares/{share['id']}", viewer)


async def _call(session: ClientSession, method: str, path: str, body: object = None, token: str = "") -> dict[str, Any]:
    """Return the answer's body. Raises ``RuntimeError``."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with session.request(method, path, json=body, headers=headers) as response:
        answer: dict[str, Any] = await response.json(content_type=None)
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {answer}")
        return answer


def _driver_line(number: int) -> str:
    citizen_id = f"1101011980{1 + number // 27_972:02d}{1 + number // 999 % 28:02d}{number % 999:03d}"
    citizen_id += citizen_id_check_char(citizen_id)
    line = {
        "type": "person",
        "real_name": "张司机",
        "citizen_id": citizen_id,
        "phone": _mobile(number),
        "wechat_openid": f"bench-{number}",
        "qualification": {"number": citizen_id, "valid_until": "2035-12-31"},
    }
    return json.dumps(line, ensure_ascii=False)


def _mobile(number: int, *, viewer: bool = False) -> str:
    """Return a person's number, which no terminal has."""
    return str((13_700_000_000 if viewer else 13_600_000_000) + number)
