"""An actor with one frozen value in the store, committed before it is answered, and read again when in doubt."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from pykka import ActorDeadError

from actors.clock import Clock
from actors.noted_times import NotedTimes
from actors.runtime import IDLE, Actor, ActorFailed, Dispatcher, MailboxFull
from actors.supervisor import Supervisor, Unanswered
from domain.errors import Busy
from persistence.records import encode
from persistence.store import Delete, Document, IndexEntry, Put, Store, StoreError

log = logging.getLogger(__name__)

S = TypeVar("S")

RETRY_S: Final = 5.0
"""How long an actor waits, on the system's clock, before it tries again to finish what a failure interrupted."""
NEVER: Final = float("inf")


class Wake:
    """An actor's own timer has come."""


WAKE: Final = Wake()


class Deadlines(Protocol):
    """Who wakes those that sleep when their time is up (``actors.deadlines``)."""

    def note(self, at: float) -> None: ...


@dataclass(frozen=True, slots=True)
class House:
    """What every actor of people and links works with."""

    dispatcher: Dispatcher
    clock: Clock
    store: Store
    supervisor: Supervisor
    watch_log: NotedTimes
    deadlines: Deadlines


class DocumentActor(Actor, Generic[S]):
    """Holds one frozen value, swapped whole after the store has it: a failed command leaves nothing half changed."""

    __slots__ = ("_armed_for", "_certain", "house", "key", "used", "value", "version")

    kind: ClassVar[str]
    """The actor's kind, and that of its document."""

    def __init__(self, house: House, key: str, document: Document | None) -> None:
        super().__init__(house.dispatcher)
        self.house = house
        self.key = key
        self.used = True
        """Whether anything came since the last look for idle ones."""
        self._certain = True
        self._armed_for = NEVER
        self.version = 0 if document is None else document.version
        self.value: S = self.value_of(document)
        self.arm()

    @property
    def actor_urn(self) -> str:  # type: ignore[override]  # computed, as in every actor with a key
        return f"{self.kind}:{self.key}"

    @abstractmethod
    def value_of(self, document: Document | None) -> S:
        """What the document says; without one, the value to begin with. Raises ``StoreFormatError``."""

    @abstractmethod
    def entries(self, value: S) -> tuple[IndexEntry, ...]:
        """How its document is found."""

    @abstractmethod
    def handle(self, message: Any) -> Any:
        """Answers one message, from a value that is certain; may be ``async``."""

    def arm(self) -> None:
        """Hook: it has come to life; asks for the wakes that it needs."""

    async def on_certain(self) -> None:
        """Hook: after a doubt the value was read again. Raises ``StoreError`` to stay in doubt."""

    def on_receive(self, message: Any) -> Any:
        self.used = True
        if self._certain:
            return self.handle(message)
        return self._handle_again(message)

    # -- being woken -------------------------------------------------------------------------------------------------

    def wake_at(self, at: float) -> None:
        """Asks for a ``Wake`` at ``at`` (Unix seconds), unless one comes before: whoever handles that asks anew."""
        if at < self._armed_for:
            self._armed_for = at
            self.house.clock.wake(self, at)

    def come_back(self) -> None:
        """Something was left unfinished."""
        self.wake_at(self.house.clock.now() + RETRY_S)

    def on_wake(self, now: float) -> None:
        """Into the mailbox: what has become due is decided there."""
        if self.is_stopped or now < self._armed_for:
            return  # An earlier wish, outdated since.
        self._armed_for = NEVER
        try:
            self.tell(WAKE)
        except MailboxFull:
            self.come_back()

    def on_set_back(self, now: float) -> None:
        self._armed_for = NEVER
        if not self.is_stopped:
            self.wake_at(now)

    # -- the store ---------------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether it may be passivated: nothing waits, and it would come back as it is."""
        return self._phase == IDLE and self._certain

    async def commit(self, value: S, *beside: Put | Delete) -> None:
        """Durable with all that belongs to it, or not at all. Raises ``StoreError``; what holds is read again then."""
        put = Put(self.kind, self.key, encode(value), self.entries(value), expected_version=self.version)
        await self._write(put, *beside)
        self.value, self.version = value, self.version + 1

    async def remove(self) -> None:
        """The document goes; what the value is afterwards, ``value_of`` says. Raises ``StoreError``."""
        # The put is there for its expected version: a removal that comes late must not hit what was written since.
        record = Put(self.kind, self.key, encode(self.value), expected_version=self.version)
        await self._write(record, Delete(self.kind, self.key))
        self.value, self.version = self.value_of(None), 0

    async def _write(self, *writes: Put | Delete) -> None:
        try:
            await self.house.store.commit(writes)
        except StoreError:
            self._certain = False  # A time-out may have committed after all.
            raise

    async def consult(self, kind: str, key: str, message: object) -> Any:
        """Asks another actor, further down the one way. Raises its refusal, or ``Busy`` when it can't answer."""
        try:
            return await self.house.supervisor.ask(kind, key, message)
        except (Unanswered, ActorFailed, ActorDeadError, MailboxFull) as error:
            log.warning("%s got no answer of %s: %r", self.actor_urn, kind, error)
            raise Busy from error

    async def _handle_again(self, message: Any) -> Any:
        try:
            await self._read_again()
        except StoreError as error:
            if not isinstance(message, Wake):
                raise
            log.warning("%s can't be read again yet: %s", self.actor_urn, error)
            self.come_back()
            return None
        answer = self.handle(message)
        return await answer if hasattr(answer, "__await__") else answer

    async def _read_again(self) -> None:
        document = (await self.house.store.get(self.kind, (self.key,))).get(self.key)
        value = self.value_of(document)
        self.value, self.version = value, 0 if document is None else document.version
        self._certain = True
        await self.on_certain()


class DocumentKind:
    """Brings actors of one kind to life for the supervisor: every key has one, with or without a document."""

    def __init__(self, house: House, actor_class: type[DocumentActor[Any]]) -> None:
        self._house = house
        self._class = actor_class

    async def load(self, keys: Sequence[str]) -> Mapping[str, Actor]:
        documents = await self._house.store.get(self._class.kind, keys)
        return {key: self._class(self._house, key, documents.get(key)) for key in keys}

    async def reload(self, key: str) -> Actor:
        return (await self.load((key,)))[key]


def passivate_idle(supervisor: Supervisor, kinds: Sequence[str]) -> int:
    """Lets go of actors to whom nothing came since the last call; returns how many."""
    gone = 0
    for kind in kinds:
        for key, actor in list(supervisor.actors(kind).items()):
            if not isinstance(actor, DocumentActor):
                continue
            if actor.used or not actor.is_idle:
                actor.used = False
            else:
                gone += supervisor.passivate(kind, key, actor)
    return gone
