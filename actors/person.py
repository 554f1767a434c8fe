"""The actor of a natural person: its commands reach over several actors, and are finished or undone after any crash.

A command that concerns the person alone is one commit. One that concerns a vehicle and a link too is first noted as
pending with the person; then the others commit, each what it does again without harm; the person's last commit is the
command's. Whoever finds a pending note later (the next command, a timer, the next start) undoes a share that did not
come about, and finishes an end that was decided. A link or a vehicle that can't answer keeps its own note pending, and
nobody else waiting.
"""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, assert_never

from actors.audit import audit_document
from actors.document_actor import DocumentActor, Wake
from actors.pending import Pending, ask_vehicle, carry_out, leave_word
from actors.people import (
    BINDING,
    DELEGATION,
    PENDING,
    PERSON,
    SHARE,
    binding_document,
    check_repeat,
    delegation_document,
)
from actors.share_link import CreateLink, LookAtShare, Preview, ShareOver
from actors.vehicle_shares import GrantShare
from domain.audit import PLATFORM, Doer, audit_record
from domain.delegation import Delegation, bind_through, is_live, lapses_at, link_state, open_link, withdraw
from domain.driver import (
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
from domain.errors import Busy, DomainError, NotFound
from domain.identifiers import PlateColor
from domain.share import Duration, EndReason, Share, Viewer, audit_detail, expires_at
from domain.vehicle_shares import LiveShare
from persistence.records import decode
from persistence.store import Document, IndexEntry, Put, StoreError

log = logging.getLogger(__name__)

MAX_PENDING: Final = 10
"""While so much of a person is unfinished, no new share begins."""


@dataclass(frozen=True, slots=True)
class Bind:
    """The driver binds a vehicle (R11-R14, again: R16). Answered with the ``Binding``; the same id again, with the same one."""

    binding_id: str
    vehicle: VehicleClaim
    doer: Doer
    again: bool = False


@dataclass(frozen=True, slots=True)
class Unbind:
    """R15, R41. Answered with the ``Binding`` as it ended; raises ``NotFound`` unless it stands."""

    binding_id: str
    by: Unbinder
    doer: Doer


@dataclass(frozen=True, slots=True)
class CreateShare:
    """R17-R19. Answered with the ``Share``; the same id again, with the same one.

    Raises ``NotFound``, ``SharingOtherVehicle`` or ``TooManyShares``.
    """

    share_id: str
    binding_id: str
    duration: Duration
    token_hash: str
    doer: Doer
    call_me: bool = False


@dataclass(frozen=True, slots=True)
class CancelShares:
    """R21: of a binding (``NotFound`` unless it stands), or one share alone. Answered with how many ended."""

    doer: Doer
    binding_id: str | None = None
    share_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delegate:
    """R22. Answered with the ``Delegation``; raises ``AlreadyBound`` or ``TooManyDelegations``."""

    delegation_id: str
    vehicle_id: str
    plate: str
    plate_color: PlateColor
    token_hash: str
    doer: Doer


@dataclass(frozen=True, slots=True)
class WithdrawDelegation:
    """R23. Raises ``NotFound`` or ``DelegationEnded``."""

    delegation_id: str
    doer: Doer


@dataclass(frozen=True, slots=True)
class PreviewDelegation:
    """What is behind this token? Claims nothing. Answered with a ``Preview``; raises ``NotFound``."""

    delegation_id: str
    token_hash: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenDelegation:
    """R23. Answered with the ``Delegation``; raises ``NotFound``, ``DelegationEnded``, ``OwnLink`` or ``LinkTaken``."""

    delegation_id: str
    token_hash: str
    ids: tuple[str, ...]
    """All account ids that the one who opens ever had, the present one first."""
    doer: Doer


@dataclass(frozen=True, slots=True)
class BindDelegated:
    """R22: the family member binds for the driver. Answered with the ``Binding``.

    Raises ``NotFound``, ``DelegationEnded``, and what ``Bind`` raises.
    """

    delegation_id: str
    binding_id: str
    vehicle: VehicleClaim
    ids: tuple[str, ...]
    doer: Doer


@dataclass(frozen=True, slots=True)
class LookAtDriver:
    """Answered with the ``Driver``."""


Command = (
    Bind
    | Unbind
    | CreateShare
    | CancelShares
    | Delegate
    | WithdrawDelegation
    | PreviewDelegation
    | OpenDelegation
    | BindDelegated
)
Message = Command | LookAtDriver | Wake


@dataclass(frozen=True, slots=True)
class Person:
    """A natural person as the store keeps it, version 1."""

    driver: Driver
    pending: tuple[Pending, ...] = field(default=())


class PersonActor(DocumentActor[Person]):
    """One natural person, as driver; a person who never drove has no document."""

    __slots__ = ()

    kind: ClassVar[str] = PERSON

    def value_of(self, document: Document | None) -> Person:
        return Person(Driver(self.key)) if document is None else decode(document.record, Person)

    def entries(self, value: Person) -> tuple[IndexEntry, ...]:
        return (IndexEntry(PENDING, ""),) if value.pending else ()

    @property
    def driver(self) -> Driver:
        return self.value.driver

    @property
    def is_idle(self) -> bool:
        return super().is_idle and not self.value.pending

    def arm(self) -> None:
        now = self.house.clock.now()
        if self.value.pending or not all(is_live(each, now) for each in self.driver.delegations):
            self.wake_at(now)

    def handle(self, message: Message) -> Any:
        match message:
            case LookAtDriver():
                return self.driver
            case Wake():
                return self._tidy()
            case _:
                return self._obey(message)

    async def _obey(self, command: Command) -> Any:
        try:
            await self._finish()
            return await self._do(command)
        except (StoreError, Busy):
            self.come_back()
            raise

    async def _do(self, command: Command) -> Any:
        match command:
            case Bind():
                return await self._bind_self(command)
            case Unbind():
                return await self._unbind(command)
            case CreateShare():
                return await self._share(command)
            case CancelShares():
                return await self._cancel(command)
            case Delegate():
                return await self._delegate(command)
            case WithdrawDelegation():
                return await self._withdraw(command)
            case PreviewDelegation():
                return await self._preview(command)
            case OpenDelegation():
                return await self._open(command)
            case BindDelegated():
                return await self._bind_delegated(command)
            case _:
                assert_never(command)

    # -- bindings ----------------------------------------------------------------------------------------------------

    async def _bind_self(self, command: Bind) -> Binding:
        if (done := await self._bound_before(command.binding_id)) is not None:
            return done
        binding = self._new_binding(command.binding_id, command.vehicle, "self", command.doer.display_name)
        action = "rebound" if command.again else "bound"
        await self._bind(binding, self._audit(action, command.doer, (BINDING, binding.id), command.vehicle.plate))
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

    async def _bind(self, binding: Binding, *beside: Put) -> None:
        after = bind(self.driver, binding)
        await self.commit(replace(self.value, driver=after), binding_document(binding), *beside)

    async def _unbind(self, command: Unbind) -> Binding:
        now = self.house.clock.now()
        after, ended, shares = unbind(self.driver, command.binding_id, by=command.by, now=now)
        audit = self._audit("unbound", command.doer, (BINDING, ended.id), ended.vehicle.plate)
        live = tuple(each for each in shares if each.expires_at > now)
        await self._end_shares(after, live, "unbound", command.doer, binding_document(ended), audit)
        return ended

    # -- shares ------------------------------------------------------------------------------------------------------

    async def _share(self, command: CreateShare) -> Share:
        now = self.house.clock.now()
        if len(self.value.pending) >= MAX_PENDING or self._owes(command.share_id):
            raise Busy
        known: Share | None = await self.consult(SHARE, command.share_id, LookAtShare())
        if known is not None:
            if known.driver_id != self.key:
                raise NotFound
            check_repeat(made_at=known.created_at, now=now)
            return known
        binding, until = self.driver.binding(command.binding_id), expires_at(now, command.duration)
        shared = SharedNow(command.share_id, binding.id, binding.vehicle.vehicle_id, until)
        after = share(self.driver, shared, now=now)
        link = self._new_share(command, binding, now, until)
        others = self.value.pending
        granting = Pending("grant", shared.share_id, shared.vehicle_id, command.doer)
        self.house.deadlines.note(until)
        await self.commit(replace(self.value, pending=(*others, granting)))
        try:
            await ask_vehicle(self, shared.vehicle_id, GrantShare(LiveShare(shared.share_id, until)))
            await self.consult(SHARE, shared.share_id, CreateLink(link))
        except DomainError:
            await self._finish()
            raise
        audit = self._audit("shared", command.doer, (SHARE, link.id), audit_detail(link))
        await self.commit(Person(after, others), audit)
        return link

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
        live = tuple(
            each
            for each in live_shares(self.driver, self.house.clock.now(), command.binding_id)
            if command.share_id in (None, each.share_id)
        )
        if live:
            after = stop_sharing(self.driver, frozenset(each.share_id for each in live))
            await self._end_shares(after, live, "cancelled", command.doer)
        elif command.share_id is not None and self._owes(command.share_id):
            raise Busy
        return len(live)

    async def _end_shares(
        self, after: Driver, shares: tuple[SharedNow, ...], reason: EndReason, doer: Doer, *beside: Put
    ) -> None:
        """Decides the end of ``shares`` and carries it out; raises ``Busy`` when a link could not be told yet."""
        ends = tuple(Pending("end", each.share_id, each.vehicle_id, doer, reason) for each in shares)
        await self.commit(Person(after, (*self.value.pending, *ends)), *beside)
        for each in ends:
            self.house.supervisor.announce(SHARE, each.share_id, ShareOver(each.share_id, reason))
        unreached = await self._finish()
        untold = [each for each in ends if each in unreached]
        for each in untold:
            leave_word(self.house.supervisor, each)
        if untold:
            raise Busy

    # -- delegations -------------------------------------------------------------------------------------------------

    async def _delegate(self, command: Delegate) -> Delegation:
        now = self.house.clock.now()
        if (known := await self._delegation(command.delegation_id)) is not None:
            check_repeat(made_at=known.created_at, now=now)
            return known
        await self._lapse()
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
        unlapsed = tuple(each for each in self.driver.delegations if not is_live(each, now))
        after = delegate(self.driver, delegation, now=now)
        after = replace(after, delegations=(*unlapsed, *after.delegations))
        audit = self._audit("delegated", command.doer, (DELEGATION, delegation.id), delegation.plate)
        self.house.deadlines.note(delegation.expires_at)
        await self.commit(replace(self.value, driver=after), delegation_document(delegation, live=True), audit)
        return delegation

    async def _withdraw(self, command: WithdrawDelegation) -> None:
        delegation = await self._delegation(command.delegation_id)
        if delegation is None:
            raise NotFound
        withdrawn = withdraw(delegation, now=self.house.clock.now())
        audit = self._audit("delegation_withdrawn", command.doer, (DELEGATION, withdrawn.id), withdrawn.plate)
        await self._settle(withdrawn, audit)

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
            await self.commit(replace(self.value, driver=after), delegation_document(opened, live=True), audit)
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
        after = put_delegation(bind(self.driver, binding), served, keep=False)
        await self.commit(
            replace(self.value, driver=after),
            binding_document(binding),
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
        """This driver's, from what is at hand or from the store."""
        if (live := self.driver.delegation(delegation_id)) is not None:
            return live
        document = (await self.house.store.get(DELEGATION, (delegation_id,))).get(delegation_id)
        delegation = None if document is None else decode(document.record, Delegation)
        return delegation if delegation is not None and delegation.driver_id == self.key else None

    async def _settle(self, delegation: Delegation, audit: Put) -> None:
        """The delegation serves no more."""
        after = put_delegation(self.driver, delegation, keep=False)
        await self.commit(replace(self.value, driver=after), delegation_document(delegation, live=False), audit)

    # -- what was interrupted, what is over --------------------------------------------------------------------------

    async def _finish(self) -> list[Pending]:
        """Undoes or finishes what is pending, as far as it can be done now; returns those whose links know nothing of it."""
        pending = self.value.pending
        if not pending:
            return []
        untold, left = await carry_out(self, pending)
        try:
            if len(left) < len(pending):
                await self.commit(replace(self.value, pending=tuple(left)))
        except StoreError as error:
            log.warning("%s has finished something and notes it later: %s", self.actor_urn, error)
        if self.value.pending:
            self.come_back()
        return untold

    def _owes(self, share_id: str) -> bool:
        """Whether something of this share is still to be undone or finished."""
        return any(each.share_id == share_id for each in self.value.pending)

    async def _tidy(self) -> None:
        """A timer has come, or the service has just started."""
        await self._finish()
        try:
            await self._lapse()
        except StoreError as error:
            log.warning("%s announces what is over later: %s", self.actor_urn, error)
            self.come_back()

    async def _lapse(self) -> None:
        """R23: announces the delegations that nobody can use any more; later, while the clock is not settled (R50)."""
        now = self.house.clock.now()
        lapsed = [each for each in self.driver.delegations if not is_live(each, now)]
        if lapsed and not self.house.clock.is_settled:
            self.come_back()
            return
        for delegation in lapsed:
            subject, at = (DELEGATION, delegation.id), delegation.expires_at
            await self._settle(
                delegation, self._audit("delegation_expired", PLATFORM, subject, delegation.plate, at=at)
            )

    def _audit(self, action: str, doer: Doer, subject: tuple[str, str], plate: str, *, at: float | None = None) -> Put:
        at = self.house.clock.now() if at is None else at
        return audit_document(audit_record(action, doer, at=at, subject=subject, accounts=(self.key,), detail=plate))
