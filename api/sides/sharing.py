"""Share links and delegation links as their driver makes and sees them (R17-R23, R63)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from actors.people.documents import BY_DRIVER, DELEGATION, SHARE
from actors.people.person import CancelShares, CreateShare, Delegate, WithdrawDelegation
from api.accounts.accounts import driver_of
from api.http.calls import Call
from api.http.link_tokens import LinkKind, NewLink, checked_id, new_link
from api.http.listing import ListQuery, newest_first
from api.ports import Services
from api.shown.bindings import Typed, parsed_plate
from api.shown.views import PlateView, time_text
from domain.errors import NotFound
from domain.identifiers import PlateColor
from domain.people.delegation import Delegation
from domain.people.delegation import Status as DelegationStatus
from domain.people.delegation import status as delegation_status
from domain.people.share import Duration, Share, Status, status
from domain.registry import vehicle_id
from persistence.records import decode
from persistence.store import Document


class ShareRequest(msgspec.Struct, frozen=True):
    """The driver's choices for a share (R17): these four and no others."""

    duration: Duration
    call_me: bool = False


class ShareViewer(msgspec.Struct, frozen=True):
    """The holder of a share (R63)."""

    display_name: str
    opened_at: str
    last_watched_at: str | None


class DriverShare(msgspec.Struct, frozen=True):
    """A share as its driver sees it."""

    id: str
    binding_id: str
    vehicle: PlateView
    duration: Duration
    created_at: str
    expires_at: str
    status: Status
    call_me: bool
    viewer: ShareViewer | None


class NewShare(DriverShare, frozen=True):
    """A new share. Link and token are shown here only."""

    link: str
    token: str


class DriverShares(msgspec.Struct, frozen=True):
    """A page of shares, newest first."""

    items: list[DriverShare]
    next: str | None


class Cancelled(msgspec.Struct, frozen=True):
    """The number of shares that ended (R21)."""

    cancelled: int


class DelegationRequest(msgspec.Struct, frozen=True):
    """The vehicle that a driver asks a family member to bind (R22)."""

    plate: Typed
    plate_color: PlateColor


class DriverDelegation(msgspec.Struct, frozen=True):
    """A delegation as its driver sees it."""

    id: str
    plate: str
    plate_color: PlateColor
    created_at: str
    expires_at: str
    status: DelegationStatus
    delegate_name: str | None
    binding_id: str | None


class NewDelegation(DriverDelegation, frozen=True):
    """A new delegation. Link and token are shown here only."""

    link: str
    token: str


class DriverDelegations(msgspec.Struct, frozen=True):
    """A page of delegations, newest first."""

    items: list[DriverDelegation]
    next: str | None


class SharesOfDriver:
    """Shares as their driver sees them, with the time of the last watching."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def of(self, share_ids: Sequence[str]) -> list[DriverShare]:
        """Return the views of these shares, newest first. Raises ``StoreUnavailable``."""
        documents = await self._services.store.get(SHARE, share_ids)
        shares = await self.views([decode(document.record, Share) for document in documents.values()])
        return sorted(shares, key=lambda share: (share.created_at, share.id), reverse=True)

    async def views(self, shares: Sequence[Share]) -> list[DriverShare]:
        """Return the views, in the order given. Raises ``StoreUnavailable``."""
        opened = [share.id for share in shares if share.viewer is not None]
        watched = await self._services.watch_log.last(opened) if opened else {}
        now = self._services.clock.now()
        return [_share(share, watched, now) for share in shares]


class SharingDesk:
    """The handlers of ``/driver/…/shares`` and ``/driver/delegations``."""

    def __init__(self, services: Services, shares: SharesOfDriver) -> None:
        self._services = services
        self._shares = shares

    # -- shares ------------------------------------------------------------------------------------------------------

    async def share(self, call: Call[ShareRequest, None]) -> NewShare:
        """Make a share (R17-R19). The link and its token are shown here only, once."""
        account, binding_id = driver_of(call.account), checked_id(call.http.match_info["id"])
        link = self._link("share", call)
        command = CreateShare(link.id, binding_id, call.body.duration, link.hash, call.doer, call_me=call.body.call_me)
        share = await self._services.supervisor.ask(account.id, command)
        view = _share(share, {}, self._services.clock.now())
        return NewShare(**_fields(view), link=link.url, token=link.token)

    async def cancel_of_binding(self, call: Call[None, None]) -> Cancelled:
        """End this driver's shares of the vehicle at once, opened or not (R21)."""
        account, binding_id = driver_of(call.account), checked_id(call.http.match_info["id"])
        command = CancelShares(call.doer, binding_id=binding_id)
        return Cancelled(await self._services.supervisor.ask(account.id, command))

    async def shares(self, call: Call[None, ListQuery]) -> DriverShares:
        """List all of the driver's shares, newest first, ended ones included (R63)."""
        account = driver_of(call.account)
        page = await newest_first(self._services.store, SHARE, BY_DRIVER, (account.id,), call.query)
        return DriverShares(await self._shares.views([_share_of(each) for each in page.documents]), page.next)

    async def cancel(self, call: Call[None, None]) -> None:
        """End one share (R21); an already ended share is no error."""
        account, share_id = driver_of(call.account), checked_id(call.http.match_info["id"])
        document = (await self._services.store.get(SHARE, (share_id,))).get(share_id)
        if document is None or _share_of(document).driver_id != account.id:
            raise NotFound
        await self._services.supervisor.ask(account.id, CancelShares(call.doer, share_id=share_id))

    # -- delegations -------------------------------------------------------------------------------------------------

    async def delegate(self, call: Call[DelegationRequest, None]) -> NewDelegation:
        """Make a link for a family member to bind through (R22).

        The vehicle's existence is checked when it is bound.
        """
        account, plate = driver_of(call.account), parsed_plate(call.body.plate)
        color, link = call.body.plate_color, self._link("delegation", call)
        command = Delegate(link.id, vehicle_id(plate, color), plate, color, link.hash, call.doer)
        delegation = await self._services.supervisor.ask(account.id, command)
        view = _delegation(delegation, self._services.clock.now())
        return NewDelegation(**_fields(view), link=link.url, token=link.token)

    async def delegations(self, call: Call[None, ListQuery]) -> DriverDelegations:
        """List the driver's delegations, newest first, ended ones included."""
        account, now = driver_of(call.account), self._services.clock.now()
        page = await newest_first(self._services.store, DELEGATION, BY_DRIVER, (account.id,), call.query)
        delegations = [decode(document.record, Delegation) for document in page.documents]
        return DriverDelegations([_delegation(each, now) for each in delegations], page.next)

    async def withdraw(self, call: Call[None, None]) -> None:
        """Withdraw a delegation: no further binding can be made through it (R23)."""
        account, delegation_id = driver_of(call.account), checked_id(call.http.match_info["id"])
        await self._services.supervisor.ask(account.id, WithdrawDelegation(delegation_id, call.doer))

    def _link(self, kind: LinkKind, call: Call[ShareRequest, None] | Call[DelegationRequest, None]) -> NewLink:
        return new_link(
            kind,
            command_id=call.command_id,
            secret=call.command_secret,
            public_url=self._services.public_url(),
        )


def _share_of(document: Document) -> Share:
    return decode(document.record, Share)


def _share(share: Share, watched: Mapping[str, float], now: float) -> DriverShare:
    viewer = share.viewer
    last = watched.get(share.id)
    return DriverShare(
        id=share.id,
        binding_id=share.binding_id,
        vehicle=PlateView(share.plate, share.plate_color),
        duration=share.duration,
        created_at=time_text(share.created_at),
        expires_at=time_text(share.expires_at),
        status=status(share, now),
        call_me=share.call_me,
        viewer=None
        if viewer is None
        else ShareViewer(viewer.display_name, time_text(viewer.opened_at), None if last is None else time_text(last)),
    )


def _delegation(delegation: Delegation, now: float) -> DriverDelegation:
    return DriverDelegation(
        id=delegation.id,
        plate=delegation.plate,
        plate_color=delegation.plate_color,
        created_at=time_text(delegation.created_at),
        expires_at=time_text(delegation.expires_at),
        status=delegation_status(delegation, now),
        delegate_name=None if delegation.holder is None else delegation.holder.display_name,
        binding_id=delegation.binding_id,
    )


def _fields(view: msgspec.Struct) -> dict[str, Any]:
    return msgspec.structs.asdict(view)
