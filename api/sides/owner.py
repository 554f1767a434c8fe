"""The owner's calls: a business's vehicles, and what it may see of each (R40, R41)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from actors.people.business import UnbindAsOwner
from actors.people.documents import BINDING, BY_VEHICLE
from actors.vehicles.vehicle import Look, VehicleView
from api.accounts.accounts import owner_of
from api.http.calls import Call
from api.http.link_tokens import checked_id
from api.http.listing import ListQuery, not_a_cursor
from api.ports import Services
from api.shown.alert_history import AlertHistory
from api.shown.share_view import NOTHING_TODAY, papers_of
from api.shown.vehicle_looks import VehicleLooks
from api.shown.views import (
    AlertView,
    DrivingTodayView,
    LastFix,
    Reminder,
    alert_view,
    driving_today_view,
    last_fix,
    reminder_views,
    time_text,
)
from domain.civil_time import china_date
from domain.errors import InvalidInput, NotFound
from domain.identifiers import InvalidIdentifier, PlateColor, name_masked, part_of_plate, phone_masked
from domain.people.certificates import CertificateKind, reminders
from domain.people.driver import Binding, BindingKind
from domain.registry import Business, RegisteredVehicle
from persistence.records import decode

SCANNED_AT_ONCE: Final = 1_000
"""Vehicles that a filtered page examines; the page may come out short, and ``next`` continues."""
COUNTING_AT_ONCE: Final = 16
MAX_ALERTS: Final = 100
MAX_BINDINGS: Final = 200
"""Bindings that a vehicle's page shows."""
_ID_CHARS: Final = 16

Keeps = Callable[[RegisteredVehicle], Awaitable[bool]]


class VehicleList(ListQuery, frozen=True):
    """The query of the list."""

    which: Literal["bound", "all", "expiring"] = msgspec.field(name="list", default="all")
    """``expiring``: vehicles whose own certificates are about to expire or have expired."""
    q: Annotated[str, Meta(max_length=20)] = ""
    """A part of the plate."""


class VehicleItem(msgspec.Struct, frozen=True):
    """An entry of the list; ``online`` and the fix are null while the vehicle cannot be asked."""

    id: str
    plate: str
    plate_color: PlateColor
    online: bool | None
    last_fix: LastFix | None
    bindings_count: int
    certificate_reminders: list[Reminder]


class VehicleItems(msgspec.Struct, frozen=True):
    """A page of the list, by plate."""

    items: list[VehicleItem]
    next: str | None


class VehicleBinding(msgspec.Struct, frozen=True):
    """A binding of the vehicle, and its driver."""

    id: str
    driver_name_masked: str
    kind: BindingKind
    bound_at: str


class VehiclePage(msgspec.Struct, frozen=True):
    """A vehicle's own page."""

    id: str
    plate: str
    plate_color: PlateColor
    vin: str
    transport_cert_no: str
    transport_cert_valid_until: str
    annual_review_due: str | None
    terminal_phone_masked: str | None
    speed_limit_kmh: int
    online: bool
    last_fix: LastFix | None
    driving_today: DrivingTodayView
    bindings_count: int
    bindings: list[VehicleBinding]
    alerts: list[AlertView]
    certificate_reminders: list[Reminder]


class OwnerDesk:
    """The handlers of ``/owner``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._looks = VehicleLooks(services.supervisor)
        self._alerts = AlertHistory(services.store)
        self._counting = asyncio.Semaphore(COUNTING_AT_ONCE)

    async def vehicles(self, call: Call[None, VehicleList]) -> VehicleItems:
        """List this business's own vehicles, and no other's (R40)."""
        business, query = owner_of(call.account), call.query
        try:
            vehicles, following = await self._page(business.uscc, query)
        except ValueError:
            raise not_a_cursor() from None
        counts = await asyncio.gather(*(self._bindings_count(vehicle) for vehicle in vehicles))
        views = await self._looks.at([vehicle.id for vehicle in vehicles])
        lines = zip(vehicles, counts, strict=True)
        return VehicleItems(
            [self._item(vehicle, views.get(vehicle.id), count, business) for vehicle, count in lines], following
        )

    async def vehicle(self, call: Call[None, None]) -> VehiclePage:
        """Show a vehicle (R41); another business's vehicle is not found."""
        business = owner_of(call.account)
        vehicle = await self._own(business, call.http.match_info["id"])
        view = await self._services.supervisor.ask(vehicle.id, Look())
        alerts = await self._alerts.newest(vehicle.id, view, limit=MAX_ALERTS)
        bindings, count = await self._bindings(vehicle)
        phone = vehicle.terminal_phone
        return VehiclePage(
            id=vehicle.id,
            plate=vehicle.plate,
            plate_color=vehicle.plate_color,
            vin=vehicle.vin,
            transport_cert_no=vehicle.transport_cert_no,
            transport_cert_valid_until=vehicle.transport_cert_valid_until.isoformat(),
            annual_review_due=None if vehicle.annual_review_due is None else vehicle.annual_review_due.isoformat(),
            terminal_phone_masked=phone_masked(phone) if phone else None,
            speed_limit_kmh=vehicle.speed_limit_kmh,
            online=view is not None and view.online,
            last_fix=None if view is None else last_fix(view, self._services.place_of),
            driving_today=driving_today_view(NOTHING_TODAY if view is None else view.today),
            bindings_count=count,
            bindings=bindings,
            alerts=[alert_view(alert, self._services.place_of) for alert in alerts],
            certificate_reminders=self._reminders(vehicle, business),
        )

    async def unbind(self, call: Call[None, None]) -> None:
        """Unbind a driver (R41): mark the binding as unbound by the owner, and end the driver's shares (R15)."""
        business, binding_id = owner_of(call.account), checked_id(call.http.match_info["id"])
        await self._services.supervisor.ask(business.uscc, UnbindAsOwner(binding_id, call.doer))

    # -- the list ----------------------------------------------------------------------------------------------------

    async def _page(self, uscc: str, query: VehicleList) -> tuple[Sequence[RegisteredVehicle], str | None]:
        registry, wanted = self._services.registry, _searched(query.q)
        if query.which == "all" and not wanted:
            page = await registry.vehicles_of(uscc, after=query.cursor, limit=query.limit)
            return page.vehicles, page.next

        today = china_date(self._services.clock.now())

        async def keeps(vehicle: RegisteredVehicle) -> bool:
            if wanted not in vehicle.plate:
                return False
            if query.which == "expiring":
                return bool(reminders(papers_of(vehicle), today=today))
            return query.which == "all" or await self._bindings_count(vehicle) > 0

        return await self._filtered(uscc, query, keeps)

    async def _filtered(
        self, uscc: str, query: VehicleList, keeps: Keeps
    ) -> tuple[Sequence[RegisteredVehicle], str | None]:
        """Read until the page is full, never more than it still needs, so that its cursor is always right."""
        found: list[RegisteredVehicle] = []
        after, scanned = query.cursor, 0
        while True:
            page = await self._services.registry.vehicles_of(uscc, after=after, limit=query.limit - len(found))
            kept = await asyncio.gather(*map(keeps, page.vehicles))
            found += [vehicle for vehicle, keep in zip(page.vehicles, kept, strict=True) if keep]
            after, scanned = page.next, scanned + len(page.vehicles)
            if after is None or len(found) == query.limit or scanned >= SCANNED_AT_ONCE:
                return found, after

    async def _own(self, business: Business, vehicle_id: str) -> RegisteredVehicle:
        if len(vehicle_id) != _ID_CHARS or not vehicle_id.isascii():
            raise NotFound
        vehicle = await self._services.registry.vehicle(vehicle_id)
        if vehicle is None or vehicle.owner_uscc != business.uscc:
            raise NotFound
        return vehicle

    # -- parts -------------------------------------------------------------------------------------------------------

    def _item(
        self, vehicle: RegisteredVehicle, view: VehicleView | None, count: int, business: Business
    ) -> VehicleItem:
        return VehicleItem(
            id=vehicle.id,
            plate=vehicle.plate,
            plate_color=vehicle.plate_color,
            online=None if view is None else view.online,
            last_fix=None if view is None else last_fix(view, self._services.place_of),
            bindings_count=count,
            certificate_reminders=self._reminders(vehicle, business),
        )

    async def _bindings_count(self, vehicle: RegisteredVehicle) -> int:
        async with self._counting:
            return await self._services.store.count(BINDING, BY_VEHICLE, vehicle.id)

    async def _bindings(self, vehicle: RegisteredVehicle) -> tuple[list[VehicleBinding], int]:
        """Return the current bindings, oldest first, and their number."""
        page = await self._services.store.find(BINDING, BY_VEHICLE, vehicle.id, limit=MAX_BINDINGS)
        bindings = [_binding(decode(found.record, Binding)) for found in page.documents]
        return bindings, len(bindings) if page.next is None else await self._bindings_count(vehicle)

    def _reminders(self, vehicle: RegisteredVehicle, business: Business) -> list[Reminder]:
        licence = business.operating_licence
        last_days = (
            *papers_of(vehicle),
            (CertificateKind.OPERATING_LICENCE, None if licence is None else licence.valid_until),
        )
        return reminder_views(reminders(last_days, today=china_date(self._services.clock.now())))


def _binding(binding: Binding) -> VehicleBinding:
    return VehicleBinding(binding.id, name_masked(binding.driver_name), binding.kind, time_text(binding.bound_at))


def _searched(text: str) -> str:
    """Return the part of a plate to look for. Raises ``InvalidInput``."""
    try:
        return part_of_plate(text)
    except InvalidIdentifier as error:
        raise InvalidInput(("q", str(error))) from None
