"""The family's calls: see shared vehicles, and bind on a driver's behalf (R22, R30-R34)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from aiohttp import web

from actors.people.documents import BINDING, BY_HOLDER, BY_VIEWER, DELEGATION, SHARE, check_repeat
from actors.people.person import BindDelegated
from actors.vehicles.vehicle import VehicleView
from api.accounts.accounts import natural_of, registered_of
from api.http.calls import JSON, Call
from api.http.edge import HEADERS
from api.http.gates import Gates
from api.http.link_tokens import checked_id, made_by
from api.http.listing import ListQuery, newest_first
from api.http.polled import Head, Polled
from api.ports import Services
from api.shown.alert_history import AlertHistory
from api.shown.bindings import BindingView, Papers, binding_view, parsed_papers
from api.shown.share_view import ShareViews
from api.shown.vehicle_looks import VehicleLooks
from api.shown.views import AlertView, LastFix, PlateView, alert_view, last_fix, time_text
from domain.errors import DelegationEnded, NotFound
from domain.identifiers import PlateColor, name_masked
from domain.people.delegation import Delegation, is_live
from domain.people.delegation import Status as DelegationStatus
from domain.people.delegation import status as delegation_status
from domain.people.driver import Binding, claim
from domain.people.share import Share, Status, end_reason, status
from persistence.records import decode

HEAD: Final = Head(
    {**HEADERS, "Cache-Control": "private, max-age=0", "Content-Type": f"{JSON}; charset=utf-8"},
)
"""Headers of a share view; with 304, the type tells nothing new."""


class FamilyShare(msgspec.Struct, frozen=True):
    """An entry of the list; an ended share shows nothing of the vehicle's position (R33)."""

    id: str
    vehicle: PlateView
    driver_name_masked: str
    status: Status
    expires_at: str
    online: bool | None
    last_fix: LastFix | None


class FamilyShareItems(msgspec.Struct, frozen=True):
    """A page of shares, ordered from the last opened."""

    items: list[FamilyShare]
    next: str | None


class AlertItems(msgspec.Struct, frozen=True):
    """A page of alerts, newest first."""

    items: list[AlertView]
    next: str | None


class FamilyDelegation(msgspec.Struct, frozen=True):
    """A vehicle that a driver asked to bind."""

    id: str
    plate: str
    plate_color: PlateColor
    driver_name_masked: str
    status: DelegationStatus
    binding_id: str | None


class FamilyDelegations(msgspec.Struct, frozen=True):
    """A page of delegations, ordered from the last opened."""

    items: list[FamilyDelegation]
    next: str | None


class FamilyShares:
    """The list of shares that an account has opened; drivers have it, too (R10)."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._looks = VehicleLooks(services.supervisor)

    async def page(self, ids: Sequence[str], query: ListQuery) -> FamilyShareItems:
        """Return a page; ``ids`` are all that the account ever had. Raises ``InvalidInput`` or ``StoreUnavailable``."""
        page = await newest_first(self._services.store, SHARE, BY_VIEWER, ids, query)
        shares = [decode(document.record, Share) for document in page.documents]
        now = self._services.clock.now()
        views = await self._looks.at([share.vehicle_id for share in shares if end_reason(share, now) is None])
        return FamilyShareItems([self._line(share, views.get(share.vehicle_id), now) for share in shares], page.next)

    def _line(self, share: Share, view: VehicleView | None, now: float) -> FamilyShare:
        shown = view if end_reason(share, now) is None else None
        return FamilyShare(
            id=share.id,
            vehicle=PlateView(share.plate, share.plate_color),
            driver_name_masked=name_masked(share.driver_name),
            status=status(share, now),
            expires_at=time_text(share.expires_at),
            online=None if shown is None else shown.online,
            last_fix=None if shown is None else last_fix(shown, self._services.place_of),
        )


class FamilyDesk:
    """The handlers of ``/family``, except for the live stream."""

    def __init__(self, services: Services, gates: Gates, *, shares: FamilyShares, views: ShareViews) -> None:
        self._services = services
        self._gates = gates
        self._shares = shares
        self._views = views
        self._alerts = AlertHistory(services.store)

    async def shares(self, call: Call[None, ListQuery]) -> FamilyShareItems:
        """List the shares that this account has opened, ended ones included (分享车辆)."""
        return await self._shares.page(registered_of(call.account).ids, call.query)

    async def share(self, call: Call[None, None]) -> web.StreamResponse:
        """Show a share's vehicle (R30-R33). Answers 304 while nothing but the position's age has changed."""
        share_id = checked_id(call.http.match_info["id"])
        seen = await self._views.see(share_id, natural_of(call.account).ids)
        etag, body = self._views.told(seen, call.http.headers.get("If-None-Match"))
        return Polled(HEAD, etag=etag, body=body)

    async def alerts(self, call: Call[None, ListQuery]) -> AlertItems:
        """List the alerts that began after the share was made or were running then (R34)."""
        share_id = checked_id(call.http.match_info["id"])
        seen = await self._views.see(share_id, natural_of(call.account).ids)
        share = seen.share
        page = await self._alerts.page(share.vehicle_id, seen.view, call.query, since=share.created_at)
        return AlertItems([alert_view(alert, self._services.place_of) for alert in page.alerts], page.next)

    # -- binding on a driver's behalf
    # ------------------------------------------------------------------------------------

    async def delegations(self, call: Call[None, ListQuery]) -> FamilyDelegations:
        """List the delegations that this account has opened (代绑车辆, R22)."""
        ids, now = registered_of(call.account).ids, self._services.clock.now()
        page = await newest_first(self._services.store, DELEGATION, BY_HOLDER, ids, call.query)
        delegations = [decode(document.record, Delegation) for document in page.documents]
        return FamilyDelegations([_delegation(each, now) for each in delegations], page.next)

    async def bind(self, call: Call[Papers, None]) -> BindingView:
        """Bind for the driver, whose limits hold (R22). Wrong data is counted for the sender (R61)."""
        account, binding_id = natural_of(call.account), made_by(call.command_id)
        delegation = await self._held(call.http.match_info["id"], account.ids)
        proof = parsed_papers(call.body)
        if not is_live(delegation, self._services.clock.now()):
            return self._view(await self._bound_by(delegation, binding_id))
        async with self._gates.bind_data(account.id, call.address):
            vehicle = await self._services.registry.vehicle(delegation.vehicle_id)
            claimed = claim(vehicle, transport_cert_no=proof.transport_cert_no, vin=proof.vin)
        command = BindDelegated(delegation.id, binding_id, claimed, account.ids, call.doer)
        binding = await self._services.supervisor.ask(delegation.driver_id, command)
        return self._view(binding)

    async def _bound_by(self, delegation: Delegation, binding_id: str) -> Binding:
        """Return the binding that this very command made when it was sent before, whatever the papers say now.

        Raises ``DelegationEnded`` if another command made it, or ``KeyForgotten`` if it was too long ago.
        """
        if delegation.binding_id != binding_id:
            raise DelegationEnded
        document = (await self._services.store.get(BINDING, (binding_id,)))[binding_id]
        binding = decode(document.record, Binding)
        check_repeat(made_at=binding.bound_at, now=self._services.clock.now())
        return binding

    def _view(self, binding: Binding) -> BindingView:
        return binding_view(binding, None, shares_live=0, place_of=self._services.place_of)

    async def _held(self, text: str, ids: Sequence[str]) -> Delegation:
        """Return the delegation that this account has opened. Raises ``NotFound``."""
        delegation_id = checked_id(text)
        document = (await self._services.store.get(DELEGATION, (delegation_id,))).get(delegation_id)
        delegation = None if document is None else decode(document.record, Delegation)
        if delegation is None or delegation.holder is None or delegation.holder.account_id not in ids:
            raise NotFound
        return delegation


def _delegation(delegation: Delegation, now: float) -> FamilyDelegation:
    return FamilyDelegation(
        id=delegation.id,
        plate=delegation.plate,
        plate_color=delegation.plate_color,
        driver_name_masked=name_masked(delegation.driver_name),
        status=delegation_status(delegation, now),
        binding_id=delegation.binding_id,
    )
