"""The vehicles that a business owns, and the state of their papers, for its map and its home page."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from time import monotonic
from typing import Final, Literal, NamedTuple

import msgspec

from actors.people.documents import BINDING, BY_VEHICLE
from actors.vehicles.fleet_grid import FleetGrid, Spot
from api.accounts.accounts import owner_of
from api.accounts.remembered import Remembered
from api.http.calls import Call
from api.ports import Services
from api.shown.share_view import papers_of
from api.shown.views import PlateView
from domain.civil_time import china_date
from domain.people.certificates import EXPIRING_DAYS
from domain.registry import RegisteredVehicle

MAX_VEHICLES: Final = 20_000
"""Vehicles of one business, by plate."""
READ_AT_ONCE: Final = 1_000
REMEMBERED_FLEETS: Final = 50
COUNTED_AT_ONCE: Final = 500
COUNTED_FOR_S: Final = 60.0
"""Real seconds for which the count of a fleet larger than ``COUNTED_AT_ONCE`` stays valid."""

Which = Literal["all", "online", "alerting", "expiring"]
"""The part of a fleet that a map shows; ``expiring`` includes vehicles whose papers have expired."""


class Owned(NamedTuple):
    """A vehicle of a fleet."""

    plate: PlateView
    papers_until: date | None
    """The last day on which its transport certificate and its review are both valid."""

    def is_expiring(self, today: date) -> bool:
        return self.papers_until is not None and (self.papers_until - today).days <= EXPIRING_DAYS


OwnedVehicles = Mapping[str, Owned]
"""A fleet, by vehicle id."""


class FleetSummary(msgspec.Struct, frozen=True):
    """The summary for the owner's home page."""

    vehicles: int
    bound: int
    """Vehicles with a binding; for a large fleet the count may be a minute old."""
    online: int
    alerting: int
    """Vehicles with an ongoing alert."""
    expiring: int
    """Vehicles whose transport certificate or review is about to expire or has expired."""
    expired: int
    """Vehicles of these where it has expired."""


class OwnedFleets:
    """The fleets of businesses that looked lately, read again only when the registry may have changed."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._fleets: Remembered[OwnedVehicles] = Remembered(REMEMBERED_FLEETS)

    async def of(self, uscc: str) -> OwnedVehicles:
        """Return a business's fleet. Raises ``StoreUnavailable``."""
        revision = self._services.registry_revision()
        known = self._fleets.get(uscc, revision)
        if known is not None:
            return known
        vehicles: dict[str, Owned] = {}
        after: str | None = None
        while len(vehicles) < MAX_VEHICLES:
            page = await self._services.registry.vehicles_of(uscc, after=after, limit=READ_AT_ONCE)
            vehicles.update((each.id, _owned(each)) for each in page.vehicles)
            after = page.next
            if after is None:
                break
        self._fleets.keep(uscc, revision, vehicles)
        return vehicles

    def today(self) -> date:
        return china_date(self._services.clock.now())

    def shows(self, which: Which, spot: Spot, vehicles: OwnedVehicles, today: date) -> bool:
        """Tell whether a map of this part of the fleet shows this vehicle."""
        match which:
            case "all":
                return True
            case "online":
                return spot.online
            case "alerting":
                return spot.alert
            case "expiring":
                return vehicles[spot.key].is_expiring(today)


class SummaryDesk:
    """The handler of the owner's summary."""

    def __init__(self, services: Services, grid: FleetGrid, fleets: OwnedFleets) -> None:
        self._services = services
        self._grid = grid
        self._fleets = fleets
        self._counts: Remembered[int] = Remembered(REMEMBERED_FLEETS)
        self._counting = asyncio.Semaphore(1)

    async def summary(self, call: Call[None, None]) -> FleetSummary:
        """Summarise this business's own vehicles, and no other's (R40)."""
        uscc = owner_of(call.account).uscc
        vehicles = await self._fleets.of(uscc)
        today, online, alerting = self._fleets.today(), 0, 0
        for spot in self._grid.of(vehicles):
            online += spot.online
            alerting += spot.alert
        ends = [each.papers_until for each in vehicles.values() if each.is_expiring(today)]
        return FleetSummary(
            vehicles=len(vehicles),
            bound=await self._bound(uscc, vehicles),
            online=online,
            alerting=alerting,
            expiring=len(ends),
            expired=sum(end is not None and end < today for end in ends),
        )

    async def _bound(self, uscc: str, vehicles: OwnedVehicles) -> int:
        """Count the bound vehicles, one business at a time: a large fleet takes thousands of small reads."""
        is_small = len(vehicles) <= COUNTED_AT_ONCE
        async with self._counting:
            mark = None if is_small else int(monotonic() / COUNTED_FOR_S)
            known = None if is_small else self._counts.get(uscc, mark)
            if known is not None:
                return known
            keys, bound = list(vehicles), 0
            for start in range(0, len(keys), COUNTED_AT_ONCE):
                counts = await asyncio.gather(*map(self._bindings, keys[start : start + COUNTED_AT_ONCE]))
                bound += sum(count > 0 for count in counts)
            self._counts.keep(uscc, mark, bound)
            return bound

    async def _bindings(self, vehicle_id: str) -> int:
        return await self._services.store.count(BINDING, BY_VEHICLE, vehicle_id)


def _owned(vehicle: RegisteredVehicle) -> Owned:
    ends = [day for _, day in papers_of(vehicle) if day is not None]
    return Owned(PlateView(vehicle.plate, vehicle.plate_color), min(ends, default=None))
