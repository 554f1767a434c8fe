"""Which vehicles does a business have, and what does it see of each (R40, R41)?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from actors.runtime import ActorFailed
from actors.supervisor import Unanswered
from actors.vehicle import KIND, Look, VehicleView
from actors.vehicle_state import ALERT_KIND, BY_VEHICLE
from api.accounts import owner_of
from api.calls import Call
from api.ports import Services
from api.views import (
    AlertView,
    DrivingTodayView,
    LastFix,
    Reminder,
    alert_view,
    driving_today_view,
    last_fix,
    reminder_views,
)
from domain.alerts import Alert
from domain.certificates import CertificateKind, china_date, reminders
from domain.errors import InvalidInput, NotFound
from domain.identifiers import PlateColor, phone_masked
from domain.registry import Business, RegisteredVehicle
from domain.vehicle import DrivingToday
from persistence.records import decode

BINDING_KIND: Final = "binding"
"""Its index ``BINDINGS_OF`` holds, by vehicle id, the bindings that stand now and no others."""
BINDINGS_OF: Final = "vehicle"
MAX_LIMIT: Final = 200
SCANNED_AT_ONCE: Final = 1_000
"""Vehicles that one filtered page looks at; it may come out short, and ``next`` goes on."""
COUNTING_AT_ONCE: Final = 16
MAX_ALERTS: Final = 100
_ID_CHARS: Final = 16

Keeps = Callable[[RegisteredVehicle], Awaitable[bool]]


class VehicleList(msgspec.Struct, frozen=True):
    """The query of the list."""

    which: Literal["bound", "all"] = msgspec.field(name="list", default="all")
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = 50
    cursor: Annotated[str, Meta(max_length=2_000)] | None = None
    q: Annotated[str, Meta(max_length=20)] = ""
    """A part of the plate."""


class VehicleItem(msgspec.Struct, frozen=True):
    """A line of the list; ``online`` is null, and so is the fix, while the vehicle can't be asked."""

    id: str
    plate: str
    plate_color: PlateColor
    online: bool | None
    last_fix: LastFix | None
    bindings_count: int
    certificate_reminders: list[Reminder]


class VehicleItems(msgspec.Struct, frozen=True):
    """One page of the list, by plate."""

    items: list[VehicleItem]
    next: str | None


class BindingView(msgspec.Struct, frozen=True):
    """Who has bound a vehicle."""

    id: str
    driver_name_masked: str
    kind: Literal["self", "delegated"]
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
    bindings: list[BindingView]
    alerts: list[AlertView]
    certificate_reminders: list[Reminder]


class OwnerDesk:
    """The handlers of ``/owner``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._counting = asyncio.Semaphore(COUNTING_AT_ONCE)

    async def vehicles(self, call: Call[None, VehicleList]) -> VehicleItems:
        """R40: this business's own, and nobody else's."""
        business, query = owner_of(call.account), call.query
        try:
            vehicles, following = await self._page(business.uscc, query)
        except ValueError:
            raise InvalidInput(("cursor", "不是本列表的游标")) from None
        counts = await asyncio.gather(*(self._bindings_count(vehicle) for vehicle in vehicles))
        views = await self._look_at(vehicles)
        lines = zip(vehicles, views, counts, strict=True)
        return VehicleItems([self._item(vehicle, view, count, business) for vehicle, view, count in lines], following)

    async def vehicle(self, call: Call[None, None]) -> VehiclePage:
        """R41; another business's vehicle is not found."""
        business = owner_of(call.account)
        vehicle = await self._own(business, call.http.match_info["id"])
        view: VehicleView | None = await self._services.supervisor.ask(KIND, vehicle.id, Look())
        alerts = await self._alerts(vehicle.id, view)
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
            driving_today=driving_today_view(DrivingToday(0.0, 0, 0, 0) if view is None else view.today),
            bindings_count=await self._bindings_count(vehicle),
            bindings=[],
            alerts=[alert_view(alert) for alert in alerts],
            certificate_reminders=self._reminders(vehicle, business),
        )

    # -- which -------------------------------------------------------------------------------------------------------

    async def _page(self, uscc: str, query: VehicleList) -> tuple[Sequence[RegisteredVehicle], str | None]:
        registry, wanted = self._services.registry, query.q.strip().upper()
        if query.which == "all" and not wanted:
            page = await registry.vehicles_of(uscc, after=query.cursor, limit=query.limit)
            return page.vehicles, page.next

        async def keeps(vehicle: RegisteredVehicle) -> bool:
            if wanted not in vehicle.plate:
                return False
            return query.which == "all" or await self._bindings_count(vehicle) > 0

        return await self._filtered(uscc, query, keeps)

    async def _filtered(
        self, uscc: str, query: VehicleList, keeps: Keeps
    ) -> tuple[Sequence[RegisteredVehicle], str | None]:
        """Reads on until the page is full, but never more than is left of it: so a page's cursor is always the right one."""
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

    # -- what of each ------------------------------------------------------------------------------------------------

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

    async def _look_at(self, vehicles: Sequence[RegisteredVehicle]) -> Sequence[VehicleView | None]:
        """Wakes them together, then asks each; one that can't answer leaves the others their lines."""
        supervisor = self._services.supervisor
        await supervisor.activate(KIND, [vehicle.id for vehicle in vehicles])
        return await asyncio.gather(*(self._look(vehicle.id) for vehicle in vehicles))

    async def _look(self, vehicle_id: str) -> VehicleView | None:
        try:
            view: VehicleView | None = await self._services.supervisor.ask(KIND, vehicle_id, Look())
        except (Unanswered, ActorFailed):
            return None
        return view

    async def _bindings_count(self, vehicle: RegisteredVehicle) -> int:
        async with self._counting:
            return await self._services.store.count(BINDING_KIND, BINDINGS_OF, vehicle.id)

    async def _alerts(self, vehicle_id: str, view: VehicleView | None) -> list[Alert]:
        """Newest first; of one that both know, the actor's version is the newer. Asked before the store, it misses none."""
        page = await self._services.store.find(ALERT_KIND, BY_VEHICLE, vehicle_id, limit=MAX_ALERTS, descending=True)
        alerts = {found.key: decode(found.record, Alert) for found in page.documents}
        if view is not None:
            alerts.update((alert.id, alert) for alert in view.alerts)
        newest_first = sorted(alerts.values(), key=lambda alert: (alert.started_at, alert.id), reverse=True)
        return newest_first[:MAX_ALERTS]

    def _reminders(self, vehicle: RegisteredVehicle, business: Business) -> list[Reminder]:
        licence = business.operating_licence
        last_days = (
            (CertificateKind.TRANSPORT, vehicle.transport_cert_valid_until),
            (CertificateKind.ANNUAL_REVIEW, vehicle.annual_review_due),
            (CertificateKind.OPERATING_LICENCE, None if licence is None else licence.valid_until),
        )
        return reminder_views(reminders(last_days, today=china_date(self._services.clock.now())))
