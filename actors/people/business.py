"""The actor of a business: it unbinds drivers from its own vehicles (R41)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pykka import ActorDeadError

from actors.people.document_actor import House
from actors.people.documents import BINDING, BUSINESS
from actors.people.person import Unbind
from actors.system.asks import Ask
from actors.system.runtime import Actor, ActorFailed, MailboxFull
from actors.system.supervisor import Unanswered
from domain.errors import Busy, NotFound
from domain.people.audit import Doer
from domain.people.driver import Binding
from persistence.records import decode


@dataclass(frozen=True, slots=True)
class UnbindAsOwner(Ask[Binding]):
    """Unbind a driver from the business's vehicle (R41). Answered with the ``Binding`` as it ended.

    Raises ``NotFound`` for another business's vehicle, or a binding that does not stand.
    """

    kind: ClassVar[str] = BUSINESS

    binding_id: str
    doer: Doer


class BusinessActor(Actor):
    """A business, by its credit code. Its vehicles stand in the registry, so it keeps nothing of its own."""

    __slots__ = ("house", "uscc")

    def __init__(self, house: House, uscc: str) -> None:
        super().__init__(house.dispatcher)
        self.house = house
        self.uscc = uscc

    @property
    def actor_urn(self) -> str:  # type: ignore[override]  # computed, as in every actor with a key
        return f"{BUSINESS}:{self.uscc}"

    def on_receive(self, message: UnbindAsOwner) -> Any:
        return self._unbind(message)

    async def _unbind(self, message: UnbindAsOwner) -> Binding:
        document = (await self.house.store.get(BINDING, (message.binding_id,))).get(message.binding_id)
        if document is None:
            raise NotFound
        binding = decode(document.record, Binding)
        if await self.house.owner_of(binding.vehicle.vehicle_id) != self.uscc:
            raise NotFound
        unbind = Unbind(binding.id, "owner", message.doer)
        try:
            return await self.house.supervisor.ask(binding.driver_id, unbind)
        except (Unanswered, ActorFailed, ActorDeadError, MailboxFull) as error:
            raise Busy from error


class BusinessKind:
    """Brings businesses to life for the supervisor; the API asks only for those that are signed in."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def load(self, keys: Sequence[str]) -> Mapping[str, Actor]:
        return {key: BusinessActor(self._house, key) for key in keys}

    async def reload(self, key: str) -> Actor:
        return BusinessActor(self._house, key)
