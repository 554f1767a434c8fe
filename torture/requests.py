"""The requests of the drama's commands, as they go over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from torture.cast import Cast, plate
from torture.rules import Op, World


@dataclass(frozen=True, slots=True)
class Request:
    """A call; ``key`` is its ``Idempotency-Key``."""

    method: str
    path: str
    body: object = None
    key: str = ""

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Idempotency-Key": self.key} if self.key else {}


@dataclass(slots=True)
class Names:
    """The service's ids of the drama's things, as far as it has told them."""

    ids: dict[str, str]
    tokens: dict[str, str]
    """The tokens of links."""
    guessed: set[str]
    """Things whose id was not told but found on the disk: of several that are alike, it may be another's."""


DRIVER: Final = "/api/v1/driver"
FAMILY: Final = "/api/v1/family"
UNKNOWN: Final = "0123456789abcdef"
"""An id that exists nowhere."""


def request_of(op: Op, names: Names, cast: Cast, world: World) -> Request | None:
    """Return a command's request, None when its subject has no name yet."""
    known = names.ids.get(op.of, "") if op.of else UNKNOWN
    if op.kind == "open":
        token = names.tokens.get(op.of)
        return Request("POST", "/api/v1/links/open", {"token": token}) if token else None
    if not known:
        return None
    key = f"key-{op.makes}" if op.makes else ""
    match op.kind:
        case "bind":
            papers = _papers(op, op.vehicle, cast)
            return Request("POST", f"{DRIVER}/bindings", {**_plate(op.vehicle), **papers}, key)
        case "rebind":
            return Request("POST", f"{DRIVER}/bindings/{known}/rebind", None, key)
        case "unbind":
            return Request("DELETE", f"{DRIVER}/bindings/{known}")
        case "owner_unbind":
            return Request("DELETE", f"/api/v1/owner/bindings/{known}")
        case "share":
            return Request("POST", f"{DRIVER}/bindings/{known}/shares", {"duration": op.detail}, key)
        case "cancel_all":
            return Request("DELETE", f"{DRIVER}/bindings/{known}/shares")
        case "cancel_one":
            return Request("DELETE", f"{DRIVER}/shares/{known}")
        case "delegate":
            return Request("POST", f"{DRIVER}/delegations", _plate(op.vehicle), key)
        case "withdraw":
            return Request("DELETE", f"{DRIVER}/delegations/{known}")
        case "bind_for":
            asked = world.delegations.get(op.of)
            papers = _papers(op, asked.vehicle if asked else 0, cast)
            return Request("POST", f"{FAMILY}/delegations/{known}/bind", papers, key)
        case _:
            return Request("GET", f"{FAMILY}/shares/{known}")


def _plate(vehicle: int) -> dict[str, str]:
    return {"plate": plate(vehicle), "plate_color": "yellow"}


def _papers(op: Op, vehicle: int, cast: Cast) -> dict[str, str]:
    vin = cast.vin((vehicle + 1) % 13 if op.detail == "wrong" else vehicle)
    return {"transport_cert_no": cast.certificate(vehicle), "vin": vin}
