"""The actor of a natural person: decides all that a driver and the driver's family do with vehicles and links.

Each command is one commit, over however many documents it changes. They are the person, the vehicle's list of shares,
the share links, bindings, delegations, and the audit.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, assert_never

from actors.people.audit import audit_document
from actors.people.document_actor import DocumentActor, Wake
from actors.people.documents import (
    BINDING,
    DELEGATION,
    PERSON,
    SHARE,
    binding_document,
    check_repeat,
    delegation_document,
    share_document,
)
from actors.people.share_link import Preview, ShareOver, ends_of
from actors.people.vehicle_shares import granted
from actors.system.asks import Ask
from domain.errors import NotFound
from domain.identifiers import PlateColor
from domain.people.audit import PLATFORM, Doer, audit_record
from domain.people.delegation import Delegation, bind_through, is_live, lapses_at, link_state, open_link, withdraw
from domain.people.driver import (
    Binding,
    BindingKind,
    Driver,
    SharedNow,
    Unbinder,
    VehicleClaim,
    bind,
    delegate,
    live_shares,
    put_delegation,
    share,
    stop_sharing,
    unbind,
)
from domain.people.share import Duration, EndReason, Share, Viewer, audit_detail, expires_at
from domain.people.shares_of_vehicle import LiveShare
from persistence.records import decode
from persistence.store import Document, IndexEntry, Put


@dataclass(frozen=True, slots=True)
class Bind(Ask[Binding]):
    """The driver binds a vehicle (R11-R14, again: R16).

    Answered with the ``Binding``; the same id again, with the same one.
    """

    kind: ClassVar[str] = PERSON

    binding_id: str
    vehicle: VehicleClaim
    doer: Doer
    again: bool = False


@dataclass(frozen=True, slots=True)
class Unbind(Ask[Binding]):
    """The driver or the owner ends a binding (R15, R41). Answered with the ``Binding`` as it ended.

    Raises ``NotFound`` unless it stands.
    """

    kind: ClassVar[str] = PERSON

    binding_id: str
    by: Unbinder
    doer: Doer


@dataclass(frozen=True, slots=True)
class CreateShare(Ask[Share]):
    """The driver makes a share link (R17-R19). Answered with the ``Share``; the same id again, with the same one.

    Raises ``NotFound``, ``SharingOtherVehicle`` or ``TooManyShares``.
    """

    kind: ClassVar[str] = PERSON

    share_id: str
    binding_id: str
    duration: Duration
    token_hash: str
    doer: Doer
    call_me: bool = False


@dataclass(frozen=True, slots=True)
class CancelShares(Ask[int]):
    """The driver ends the shares of a binding, or one share (R21). Answered with how many ended.

    Raises ``NotFound`` unless the binding stands.
    """

    kind: ClassVar[str] = PERSON

    doer: Doer
    binding_id: str | None = None
    share_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delegate(Ask[Delegation]):
    """The driver makes a delegation link (R22). Answered with the ``Delegation``.

    Raises ``AlreadyBound`` or ``TooManyDelegations``.
    """

    kind: ClassVar[str] = PERSON

    delegation_id: str
    vehicle_id: str
    plate: str
    plate_color: PlateColor
    token_hash: str
    doer: Doer


@dataclass(frozen=True, slots=True)
class WithdrawDelegation(Ask[None]):
    """The driver withdraws a delegation (R23). Raises ``NotFound`` or ``DelegationEnded``."""

    kind: ClassVar[str] = PERSON

    delegation_id: str
    doer: Doer


@dataclass(frozen=True, slots=True)
class PreviewDelegation(Ask[Preview]):
    """A reader asks what the token stands for, and claims nothing. Answered with a ``Preview``; raises ``NotFound``."""

    kind: ClassVar[str] = PERSON

    delegation_id: str
    token_hash: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenDelegation(Ask[Delegation]):
    """A family member opens the link (R23). Answered with the ``Delegation``.

    Raises ``NotFound``, ``DelegationEnded``, ``OwnLink`` or ``LinkTaken``.
    """

    kind: ClassVar[str] = PERSON

    delegation_id: str
    token_hash: str
    ids: tuple[str, ...]
    """Every account id that the opener ever had, the present one first."""
    doer: Doer


@dataclass(frozen=True, slots=True)
class BindDelegated(Ask[Binding]):
    """The family member binds for the driver (R22). Answered with the ``Binding``.

    Raises ``NotFound``, ``DelegationEnded``, and the refusals of ``Bind``.
    """

    kind: ClassVar[str] = PERSON

    delegation_id: str
    binding_id: str
    vehicle: VehicleClaim
    ids: tuple[str, ...]
    doer: Doer


@dataclass(frozen=True, slots=True)
class LookAtDriver(Ask[Driver]):
    """A reader asks for the driver. Answered with the ``Driver``."""

    kind: ClassVar[str] = PERSON


@dataclass(frozen=True, slots=True)
class WakePerson(Wake):
    """A delegation of the person has lapsed, or may have."""

    kind: ClassVar[str] = PERSON


Message = (
    Bind
    | Unbind
    | CreateShare
    | CancelShares
    | Delegate
    | WithdrawDelegation
    | PreviewDelegation
    | OpenDelegation
    | BindDelegated
    | LookAtDriver
    | WakePerson
)


@dataclass(frozen=True, slots=True)
class Person:
    """A natural person as the store keeps it, version 1."""

    driver: Driver


class PersonActor(DocumentActor[Person]):
    """A natural person, as driver; a person who never drove has no document."""

    __slots__ = ()

    kind: ClassVar[str] = PERSON
    wake: ClassVar[Wake] = WakePerson()

    def value_of(self, document: Document | None) -> Person:
        return Person(Driver(self.key)) if document is None else decode(document.record, Person)

    def entries(self, value: Person) -> tuple[IndexEntry, ...]:
        return ()

    @property
    def driver(self) -> Driver:
        return self.value.driver

    def arm(self) -> None:
        now = self.house.clock.now()
        if not all(is_live(each, now) for each in self.driver.delegations):
            self.wake_at(now)

    def is_look(self, message: Message) -> bool:
        return isinstance(message, LookAtDriver)

    def handle(self, message: Message) -> Any:
        match message:
            case LookAtDriver():
                return self.driver
            case Bind():
                return self._bind_self(message)
            case Unbind():
                return self._unbind(message)
            case CreateShare():
                return self._share(message)
            case CancelShares():
                return self._cancel(message)
            case Delegate():
                return self._delegate(message)
            case WithdrawDelegation():
                return self._withdraw(message)
            case PreviewDelegation():
                return self._preview(message)
            case OpenDelegation():
                return self._open(message)
            case BindDelegated():
                return self._bind_delegated(message)
            case WakePerson():
                return self._lapse()
            case _:
                assert_never(message)

    async def _commit(self, driver: Driver, *beside: Put) -> None:
        await self.commit(Person(driver), *beside)

    # -- bindings ----------------------------------------------------------------------------------------------------

    async def _bind_self(self, command: Bind) -> Binding:
        if (done := await self._bound_before(command.binding_id)) is not None:
            return done
        binding = self._new_binding(command.binding_id, command.vehicle, "self", command.doer.display_name)
        action = "rebound" if command.again else "bound"
        audit = self._audit(action, command.doer, (BINDING, binding.id), command.vehicle.plate)
        await self._commit(bind(self.driver, binding), binding_document(binding, is_new=True), audit)
        return binding

    async def _bound_before(self, binding_id: str) -> Binding | None:
        document = (await self.house.store.get(BINDING, (binding_id,))).get(binding_id)
        binding = None if document is None else decode(document.record, Binding)
        if binding is not None:
            if binding.driver_id != self.key:
                raise NotFound
            check_repeat(made_at=binding.bound_at, now=self.house.clock.now())
        return binding

    def _new_binding(self, binding_id: str, vehicle: VehicleClaim, kind: BindingKind, driver_name: str) -> Binding:
        return Binding(binding_id, self.key, driver_name, vehicle, kind, self.house.clock.now())

    async def _unbind(self, command: Unbind) -> Binding:
        now = self.house.clock.now()
        after, ended, shares = unbind(self.driver, command.binding_id, by=command.by, now=now)
        audit = self._audit("unbound", command.doer, (BINDING, ended.id), ended.vehicle.plate)
        live = [each for each in shares if each.expires_at > now]
        await self._end_shares(after, live, "unbound", command.doer, now, binding_document(ended), audit)
        return ended

    # -- shares ------------------------------------------------------------------------------------------------------

    async def _share(self, command: CreateShare) -> Share:
        if (done := await self._shared_before(command.share_id)) is not None:
            return done
        now, binding = self.house.clock.now(), self.driver.binding(command.binding_id)
        vehicle_id, until = binding.vehicle.vehicle_id, expires_at(now, command.duration)
        after = share(self.driver, SharedNow(command.share_id, binding.id, vehicle_id, until), now=now)
        if await self.house.owner_of(vehicle_id) is None:
            raise NotFound
        counted = await granted(self.house.store, vehicle_id, LiveShare(command.share_id, until), now=now)
        link = self._new_share(command, binding, now, until)
        audit = self._audit("shared", command.doer, (SHARE, link.id), audit_detail(link))
        self.house.deadlines.note(until)
        await self._commit(after, counted, share_document(link, version=0), audit)
        return link

    async def _shared_before(self, share_id: str) -> Share | None:
        document = (await self.house.store.get(SHARE, (share_id,))).get(share_id)
        if document is None:
            return None
        known = decode(document.record, Share)
        if known.driver_id != self.key:
            raise NotFound
        check_repeat(made_at=known.created_at, now=self.house.clock.now())
        return known

    def _new_share(self, command: CreateShare, binding: Binding, now: float, until: float) -> Share:
        return Share(
            id=command.share_id,
            vehicle_id=binding.vehicle.vehicle_id,
            plate=binding.vehicle.plate,
            plate_color=binding.vehicle.plate_color,
            binding_id=binding.id,
            driver_id=self.key,
            driver_name=command.doer.display_name,
            duration=command.duration,
            created_at=now,
            expires_at=until,
            token_hash=command.token_hash,
            call_me=command.call_me,
        )

    async def _cancel(self, command: CancelShares) -> int:
        if command.binding_id is not None:
            self.driver.binding(command.binding_id)
        now = self.house.clock.now()
        live = [
            each
            for each in live_shares(self.driver, now, command.binding_id)
            if command.share_id in (None, each.share_id)
        ]
        if live:
            after = stop_sharing(self.driver, frozenset(each.share_id for each in live))
            await self._end_shares(after, live, "cancelled", command.doer, now)
        return len(live)

    async def _end_shares(
        self, after: Driver, shares: Sequence[SharedNow], reason: EndReason, doer: Doer, now: float, *beside: Put
    ) -> None:
        """Commit the end of ``shares``, and cut the streams in the turn in which it is durable (R33)."""
        ids = [each.share_id for each in shares]
        ends = await ends_of(self.house.store, ids, reason, doer, at=now)
        await self._commit(after, *beside, *ends)
        for share_id in ids:
            self.house.supervisor.announce(SHARE, share_id, ShareOver(share_id, reason))

    # -- delegations -------------------------------------------------------------------------------------------------

    async def _delegate(self, command: Delegate) -> Delegation:
        now = self.house.clock.now()
        if (known := await self._delegation(command.delegation_id)) is not None:
            check_repeat(made_at=known.created_at, now=now)
            return known
        delegation = Delegation(
            id=command.delegation_id,
            driver_id=self.key,
            driver_name=command.doer.display_name,
            vehicle_id=command.vehicle_id,
            plate=command.plate,
            plate_color=command.plate_color,
            created_at=now,
            expires_at=lapses_at(now),
            token_hash=command.token_hash,
        )
        before, lapsed = self._lapsed(now)
        audit = self._audit("delegated", command.doer, (DELEGATION, delegation.id), delegation.plate)
        made = delegation_document(delegation, live=True, is_new=True)
        self.house.deadlines.note(delegation.expires_at)
        await self._commit(delegate(before, delegation, now=now), *lapsed, made, audit)
        return delegation

    async def _withdraw(self, command: WithdrawDelegation) -> None:
        delegation = await self._delegation(command.delegation_id)
        if delegation is None:
            raise NotFound
        withdrawn = withdraw(delegation, now=self.house.clock.now())
        audit = self._audit("delegation_withdrawn", command.doer, (DELEGATION, withdrawn.id), withdrawn.plate)
        after = put_delegation(self.driver, withdrawn, keep=False)
        await self._commit(after, delegation_document(withdrawn, live=False), audit)

    async def _preview(self, command: PreviewDelegation) -> Preview:
        delegation = await self._of_token(command.delegation_id, command.token_hash)
        state, own = link_state(delegation, command.ids, self.house.clock.now()), self.key in command.ids
        return Preview(state, delegation.plate, delegation.driver_name, own, delegation.holder if own else None)

    async def _open(self, command: OpenDelegation) -> Delegation:
        delegation, now = await self._of_token(command.delegation_id, command.token_hash), self.house.clock.now()
        holder = Viewer(command.ids[0], command.doer.display_name, now)
        opened = open_link(delegation, holder, ids=command.ids)
        if opened is not delegation:
            after = put_delegation(self.driver, opened, keep=True)
            audit = self._audit("delegation_opened", command.doer, (DELEGATION, opened.id), opened.plate)
            await self._commit(after, delegation_document(opened, live=True), audit)
        return opened

    async def _bind_delegated(self, command: BindDelegated) -> Binding:
        delegation = await self._delegation(command.delegation_id)
        if delegation is None or delegation.holder is None or delegation.holder.account_id not in command.ids:
            raise NotFound
        if delegation.binding_id == command.binding_id and (done := await self._bound_before(command.binding_id)):
            return done
        if command.vehicle.vehicle_id != delegation.vehicle_id:
            raise NotFound
        served = bind_through(delegation, command.binding_id, ids=command.ids, now=self.house.clock.now())
        binding = replace(
            self._new_binding(command.binding_id, command.vehicle, "delegated", delegation.driver_name),
            delegate_id=delegation.holder.account_id,
            delegate_name=command.doer.display_name,
        )
        await self._commit(
            put_delegation(bind(self.driver, binding), served, keep=False),
            binding_document(binding, is_new=True),
            delegation_document(served, live=False),
            self._audit("delegation_bound", command.doer, (BINDING, binding.id), delegation.plate),
        )
        return binding

    async def _of_token(self, delegation_id: str, token_hash: str) -> Delegation:
        delegation = await self._delegation(delegation_id)
        if delegation is None or not hmac.compare_digest(delegation.token_hash, token_hash):
            raise NotFound
        return delegation

    async def _delegation(self, delegation_id: str) -> Delegation | None:
        """Return this driver's delegation, from what is at hand or from the store."""
        if (live := self.driver.delegation(delegation_id)) is not None:
            return live
        document = (await self.house.store.get(DELEGATION, (delegation_id,))).get(delegation_id)
        delegation = None if document is None else decode(document.record, Delegation)
        return delegation if delegation is not None and delegation.driver_id == self.key else None

    async def _lapse(self) -> None:
        """Announce lapsed delegations at their timer; later, while the clock is not settled (R50)."""
        now = self.house.clock.now()
        after, writes = self._lapsed(now)
        if writes:
            await self._commit(after, *writes)
        if not all(is_live(each, now) for each in self.driver.delegations):
            self.come_back()

    def _lapsed(self, now: float) -> tuple[Driver, list[Put]]:
        """Return the driver without delegations that have lapsed (R23), and the writes that tell their end."""
        driver, writes = self.driver, list[Put]()
        for each in self.driver.delegations if self.house.clock.is_settled else ():
            if not is_live(each, now):
                driver = put_delegation(driver, each, keep=False)
                subject, at = (DELEGATION, each.id), each.expires_at
                audit = self._audit("delegation_expired", PLATFORM, subject, each.plate, at=at)
                writes += [delegation_document(each, live=False), audit]
        return driver, writes

    def _audit(self, action: str, doer: Doer, subject: tuple[str, str], plate: str, *, at: float | None = None) -> Put:
        at = self.house.clock.now() if at is None else at
        return audit_document(audit_record(action, doer, at=at, subject=subject, accounts=(self.key,), detail=plate))
