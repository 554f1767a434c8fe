"""The views of a binding, and the parsing of the certificate data that making one requires (R11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from actors.vehicles.vehicle import VehicleView
from api.shown.views import LastFix, PlaceOf, PlateView, last_fix, time_text
from domain.errors import InvalidInput
from domain.identifiers import (
    MAX_INPUT_CHARS,
    InvalidIdentifier,
    PlateColor,
    parse_certificate_number,
    parse_plate,
    parse_vin,
)
from domain.people.driver import Binding, BindingKind, Unbinder

T = TypeVar("T")

Typed = Annotated[str, Meta(max_length=MAX_INPUT_CHARS)]
"""A text that a person copies from a certificate."""


class BindingView(msgspec.Struct, frozen=True):
    """A binding as the driver sees it. An ended one shows nothing of the vehicle's position."""

    id: str
    vehicle: PlateView
    kind: BindingKind
    bound_at: str
    unbound_at: str | None
    unbound_by: Unbinder | None
    delegate_name: str | None
    shares_live: int
    last_fix: LastFix | None
    online: bool | None


class BindRequest(msgspec.Struct, frozen=True):
    """The data that the driver reads off the vehicle's certificates."""

    plate: Typed
    plate_color: PlateColor
    transport_cert_no: Typed
    vin: Typed


class Papers(msgspec.Struct, frozen=True):
    """The data that a family member reads off the certificates of an already named vehicle."""

    transport_cert_no: Typed
    vin: Typed


class Proof(msgspec.Struct, frozen=True):
    """The parsed certificate data."""

    transport_cert_no: str
    vin: str


def binding_view(binding: Binding, view: VehicleView | None, *, shares_live: int, place_of: PlaceOf) -> BindingView:
    """Build the view; ``view`` is None when the vehicle cannot be asked or must not be shown."""
    shown = view if binding.unbound_at is None else None
    return BindingView(
        id=binding.id,
        vehicle=PlateView(binding.vehicle.plate, binding.vehicle.plate_color),
        kind=binding.kind,
        bound_at=time_text(binding.bound_at),
        unbound_at=None if binding.unbound_at is None else time_text(binding.unbound_at),
        unbound_by=binding.unbound_by,
        delegate_name=binding.delegate_name,
        shares_live=shares_live,
        last_fix=None if shown is None else last_fix(shown, place_of),
        online=None if shown is None else shown.online,
    )


def parsed_plate(text: str) -> str:
    """Parse a plate. Raises ``InvalidInput``."""
    return _Reader().read_all(lambda reader: reader.parsed("plate", parse_plate, text))


def parsed_request(body: BindRequest) -> tuple[str, Proof]:
    """Parse the plate and the proof of knowing the vehicle. Raises ``InvalidInput`` with all errors."""
    return _Reader().read_all(lambda reader: (reader.parsed("plate", parse_plate, body.plate), _proof(reader, body)))


def parsed_papers(body: Papers) -> Proof:
    """Parse the proof. Raises ``InvalidInput`` with all errors."""
    return _Reader().read_all(lambda reader: _proof(reader, body))


def _proof(reader: _Reader, body: BindRequest | Papers) -> Proof:
    return Proof(
        transport_cert_no=reader.parsed("transport_cert_no", parse_certificate_number, body.transport_cert_no),
        vin=reader.parsed("vin", parse_vin, body.vin),
    )


class _Reader:
    """Reads fields one after the other and collects the errors of each."""

    def __init__(self) -> None:
        self._errors: list[tuple[str, str]] = []

    def parsed(self, field: str, parse: Callable[[str], str], text: str) -> str:
        try:
            return parse(text)
        except InvalidIdentifier as error:
            self._errors.append((field, str(error)))
            return ""

    def read_all(self, read: Callable[[_Reader], T]) -> T:
        value = read(self)
        if self._errors:
            raise InvalidInput(*self._errors)
        return value
