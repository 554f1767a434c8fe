"""The driver's calls on vehicles: bind them, see them and release them (R10-R16)."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

import msgspec

from actors.people.documents import BINDING, CURRENT, HISTORY
from actors.people.person import Bind, LookAtDriver, Unbind
from actors.people.vehicle_shares import check_room
from api.accounts.accounts import NaturalAccount, driver_of
from api.http.calls import Call
from api.http.gates import Gates
from api.http.link_tokens import checked_id, made_by
from api.http.listing import ListQuery, newest_first
from api.http.problems import Problem, problem_told
from api.ports import Services
from api.shown.alert_history import AlertHistory
from api.shown.bindings import BindingView, BindRequest, binding_view, parsed_request
from api.shown.share_view import SHOWN_ALERTS, papers_of
from api.shown.vehicle_looks import VehicleLooks
from api.shown.views import AlertView, PlaceOf, Reminder, alert_view, reminder_views
from api.sides.family import FamilyShareItems, FamilyShares
from api.sides.sharing import DriverShare, SharesOfDriver
from domain.civil_time import china_date
from domain.errors import NotFound, SharingOtherVehicle, TooManyShares
from domain.people.certificates import CertificateKind, reminders
from domain.people.driver import Binding, Driver, VehicleClaim, check_shares_no_other, claim, claim_again, live_shares
from domain.registry import vehicle_id
from domain.vehicle.alerts import Alert
from persistence.records import decode
from persistence.store import StoreError

COUNTED_ALERTS: Final = 100
"""Newest alerts among which a binding's page counts each kind."""


class DriverVehicleList(ListQuery, frozen=True):
    """The query of the driver's list of vehicles (R10)."""

    which: Literal["current", "history", "shared"] = msgspec.field(name="list", default="current")


class BindingItems(msgspec.Struct, frozen=True):
    """A page of bindings, newest first."""

    items: list[BindingView]
    next: str | None


class BindingPage(BindingView, frozen=True):
    """A binding's own page: its live shares, reminders, and the alerts since it was bound."""

    shares: list[DriverShare]
    share_refusal: Problem | None
    """The refusal that a further share would meet now (R18, R19)."""
    certificate_reminders: list[Reminder]
    alert_counts: dict[str, int]
    alerts: list[AlertView]


class DriverDesk:
    """The handlers of ``/driver/vehicles`` and ``/driver/bindings``."""

    def __init__(self, services: Services, gates: Gates, *, shared: FamilyShares, shares: SharesOfDriver) -> None:
        self._services = services
        self._gates = gates
        self._shared = shared
        self._shares = shares
        self._looks = VehicleLooks(services.supervisor)
        self._alerts = AlertHistory(services.store)

    async def vehicles(self, call: Call[None, DriverVehicleList]) -> BindingItems | FamilyShareItems:
        """List current bindings, former ones, or vehicles that others share with the driver (R10)."""
        account, query = driver_of(call.account), call.query
        if query.which == "shared":
            return await self._shared.page(account.ids, query)
        index = CURRENT if query.which == "current" else HISTORY
        page = await newest_first(self._services.store, BINDING, index, (account.id,), query)
        bindings = [decode(document.record, Binding) for document in page.documents]
        return BindingItems(await self._views(account, bindings), page.next)

    async def bind(self, call: Call[BindRequest, None]) -> BindingView:
        """Bind a vehicle (R11-R14). Wrong data is counted (R61); a mismatch never says what does not match."""
        account, (plate, proof) = driver_of(call.account), parsed_request(call.body)
        async with self._gates.bind_data(account.id, call.address):
            vehicle = await self._services.registry.vehicle(vehicle_id(plate, call.body.plate_color))
            claimed = claim(vehicle, transport_cert_no=proof.transport_cert_no, vin=proof.vin)
        return await self._bind(call, claimed, again=False)

    async def binding(self, call: Call[None, None]) -> BindingPage:
        """Show a binding. An ended one shows nothing that came after it."""
        account = driver_of(call.account)
        binding = await self._own(account, call.http.match_info["id"])
        (line,) = await self._views(account, [binding])
        if binding.unbound_at is not None:
            return _page(line, [], None, [], [], self._services.place_of)
        driver = await self._driver(account)
        shared = live_shares(driver, self._services.clock.now(), binding.id)
        shares = await self._shares.of([share.share_id for share in shared])
        refusal = await self._share_refusal(driver, binding)
        papers, alerts = await self._reminders(account, binding), await self._alerts_since(binding)
        return _page(line, shares, refusal, papers, alerts, self._services.place_of)

    async def unbind(self, call: Call[None, None]) -> None:
        """Move the binding into history and end this driver's shares of the vehicle (R15)."""
        account, binding_id = driver_of(call.account), checked_id(call.http.match_info["id"])
        await self._services.supervisor.ask(account.id, Unbind(binding_id, "driver", call.doer))

    async def rebind(self, call: Call[None, None]) -> BindingView:
        """Bind again without new data, if the registry's record is still the one that was bound (R16)."""
        old = await self._own(driver_of(call.account), call.http.match_info["id"])
        vehicle = await self._services.registry.vehicle(old.vehicle.vehicle_id)
        return await self._bind(call, claim_again(old, vehicle), again=True)

    # -- parts -------------------------------------------------------------------------------------------------------

    async def _bind(
        self, call: Call[BindRequest, None] | Call[None, None], claimed: VehicleClaim, *, again: bool
    ) -> BindingView:
        account = driver_of(call.account)
        command = Bind(made_by(call.command_id), claimed, call.doer, again=again)
        binding = await self._services.supervisor.ask(account.id, command)
        try:
            views = await self._looks.at([claimed.vehicle_id])
        except StoreError:
            views = {}  # the binding stands, even if the vehicle cannot be asked
        view = views.get(claimed.vehicle_id)
        return binding_view(binding, view, shares_live=0, place_of=self._services.place_of)

    async def _own(self, account: NaturalAccount, text: str) -> Binding:
        """Return this driver's binding, current or ended. Raises ``NotFound``."""
        binding_id = checked_id(text)
        document = (await self._services.store.get(BINDING, (binding_id,))).get(binding_id)
        binding = None if document is None else decode(document.record, Binding)
        if binding is None or binding.driver_id != account.id:
            raise NotFound
        return binding

    async def _driver(self, account: NaturalAccount) -> Driver:
        driver = await self._services.supervisor.ask(account.id, LookAtDriver())
        return driver

    async def _views(self, account: NaturalAccount, bindings: list[Binding]) -> list[BindingView]:
        standing = [binding.vehicle.vehicle_id for binding in bindings if binding.unbound_at is None]
        if not standing:
            return [binding_view(each, None, shares_live=0, place_of=self._services.place_of) for each in bindings]
        driver, views = await self._driver(account), await self._looks.at(standing)
        now = self._services.clock.now()
        return [
            binding_view(
                binding,
                views.get(binding.vehicle.vehicle_id),
                shares_live=len(live_shares(driver, now, binding.id)),
                place_of=self._services.place_of,
            )
            for binding in bindings
        ]

    async def _share_refusal(self, driver: Driver, binding: Binding) -> Problem | None:
        now = self._services.clock.now()
        try:
            check_shares_no_other(driver, binding.id, now=now)
            await check_room(self._services.store, binding.vehicle.vehicle_id, now=now)
        except (SharingOtherVehicle, TooManyShares) as refusal:
            return problem_told(refusal)
        return None

    async def _reminders(self, account: NaturalAccount, binding: Binding) -> list[Reminder]:
        vehicle = await self._services.registry.vehicle(binding.vehicle.vehicle_id)
        qualification = account.qualification
        own = (CertificateKind.QUALIFICATION, None if qualification is None else qualification.valid_until)
        last_days = (own, *(papers_of(vehicle) if vehicle is not None else ()))
        return reminder_views(reminders(last_days, today=china_date(self._services.clock.now())))

    async def _alerts_since(self, binding: Binding) -> list[Alert]:
        """Return the alerts since the binding: those of earlier drivers stay hidden."""
        key = binding.vehicle.vehicle_id
        view = (await self._looks.at([key])).get(key)
        return await self._alerts.newest(key, view, limit=COUNTED_ALERTS, since=binding.bound_at)


def _page(
    line: BindingView,
    shares: list[DriverShare],
    refusal: Problem | None,
    reminders: list[Reminder],
    alerts: list[Alert],
    place_of: PlaceOf,
) -> BindingPage:
    return BindingPage(
        **msgspec.structs.asdict(line),
        shares=shares,
        share_refusal=refusal,
        certificate_reminders=reminders,
        alert_counts=dict(Counter(alert.kind for alert in alerts)),
        alerts=[alert_view(alert, place_of) for alert in alerts[:SHOWN_ALERTS]],
    )
