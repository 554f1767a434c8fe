"""The actor that holds one frozen value of the store: committed before it is answered, read again when in doubt.

A command is one commit, over however many documents, each with the version that was read. When another command came
first, the store refuses; the actor reads again and decides anew. An actor whose document was changed by the commit of
another reads it before it answers anything more.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import CoroutineType
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from actors.people.noted_times import NotedTimes
from actors.system.asks import Ask
from actors.system.clock import Clock
from actors.system.runtime import Actor, Dispatcher, MailboxFull
from actors.system.supervisor import Supervisor
from domain.errors import Busy
from persistence.records import encode
from persistence.store import Document, IndexEntry, Put, Store, StoreConflict, StoreError

log = logging.getLogger(__name__)

S = TypeVar("S")

RETRY_S: Final = 5.0
"""Seconds on the system's clock before an actor tries again to finish what a failure interrupted."""
NEVER: Final = float("inf")
MAX_TRIES: Final = 10
"""Decisions of one command before it is refused as busy.

Each conflict means that another command got through. It opened or ended the same link, or made one of the three live
shares of the same vehicle (R18).
"""

OwnerOf = Callable[[str], Awaitable[str | None]]
"""Maps a vehicle id to the credit code of the business that owns it; None for an unknown vehicle."""


@dataclass(frozen=True, slots=True)
class Wake(Ask[None]):
    """Tells an actor that its own time has come; each kind has its own."""


class Deadlines(Protocol):
    """The service that wakes sleeping share links and drivers at their deadlines (``actors.people.deadlines``)."""

    def note(self, at: float) -> None: ...


@dataclass(frozen=True, slots=True)
class House:
    """The services that every actor of people and links works with."""

    dispatcher: Dispatcher
    clock: Clock
    store: Store
    supervisor: Supervisor
    watch_log: NotedTimes
    deadlines: Deadlines
    owner_of: OwnerOf


class DocumentActor(Actor, Generic[S]):
    """Holds one frozen value, swapped whole after the store has it: a failed command leaves nothing half changed."""

    __slots__ = ("_armed_for", "_certain", "house", "key", "used", "value", "version")

    kind: ClassVar[str]
    """The actor's kind, and that of its document."""
    wake: ClassVar[Wake]
    """The message that the clock brings."""

    def __init__(self, house: House, key: str, document: Document | None) -> None:
        super().__init__(house.dispatcher)
        self.house = house
        self.key = key
        self.used = True
        """Something came since the last look for idle actors."""
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
        """Read the value from the document, or begin with a fresh one. Raises ``StoreFormatError``."""

    @abstractmethod
    def entries(self, value: S) -> tuple[IndexEntry, ...]:
        """Return the index entries by which the document is found."""

    @abstractmethod
    def is_look(self, message: Any) -> bool:
        """Tell whether the value alone answers ``message``, in the asker's own turn."""

    @abstractmethod
    def handle(self, message: Any) -> Any:
        """Answer one message, from a value that is certain; may be ``async``."""

    def arm(self) -> None:
        """Ask for the wakes that the actor needs; called when it has come to life."""

    def on_receive(self, message: Any) -> Any:
        self.used = True
        if self._certain and self.is_look(message):
            return self.handle(message)
        return self._decide(message)

    async def _decide(self, message: Any) -> Any:
        """Decide anew after each conflict. Raises ``Busy`` when other commands always come first."""
        try:
            for _ in range(MAX_TRIES):
                try:
                    await self._read_again()
                    answer = self.handle(message)
                    return await answer if type(answer) is CoroutineType else answer
                except StoreConflict as conflict:
                    log.info("%s looks again: %s", self.actor_urn, conflict)
            raise Busy
        except (StoreError, Busy) as error:
            if not isinstance(message, Wake):
                raise
            log.warning("%s does later what is due: %r", self.actor_urn, error)
            self.come_back()

    # -- being woken -------------------------------------------------------------------------------------------------

    def wake_at(self, at: float) -> None:
        """Ask for a ``Wake`` at ``at`` (Unix seconds), unless one comes before: its handler asks anew."""
        if at < self._armed_for:
            self._armed_for = at
            self.house.clock.wake(self, at)

    def come_back(self) -> None:
        """Ask for a wake soon: something was left unfinished."""
        self.wake_at(self.house.clock.now() + RETRY_S)

    def on_wake(self, now: float) -> None:
        """Put the wake into the mailbox: its handler decides what has become due."""
        if self.is_stopped or now < self._armed_for:
            return  # An earlier wish, outdated since.
        self._armed_for = NEVER
        try:
            self.tell(self.wake)
        except MailboxFull:
            self.come_back()

    def on_set_back(self, now: float) -> None:
        self._armed_for = NEVER
        if not self.is_stopped:
            self.wake_at(now)

    # -- the store ---------------------------------------------------------------------------------------------------

    async def commit(self, value: S, *beside: Put) -> None:
        """Commit the writes and all that belongs to them, or nothing.

        Raises ``StoreError``; the actor then reads again.
        """
        put = Put(self.kind, self.key, encode(value), self.entries(value), expected_version=self.version)
        await self._write(put, *beside)
        self.value, self.version = value, self.version + 1

    async def _write(self, *writes: Put) -> None:
        try:
            await self.house.store.commit(writes)
        except StoreError:
            self._certain = False  # A time-out may have committed after all.
            raise
        finally:  # However it went: in the turn in which the commit's outcome is known, before any caller is answered.
            for write in writes[1:]:
                self.house.supervisor.outdate(write.kind, write.key)

    def outdate(self) -> None:
        self._certain = False

    def hand_over(self, successor: Actor) -> None:
        super().hand_over(successor)
        if not self._certain:
            successor.outdate()  # It may have been read before the commit that outdated this one.

    async def _read_again(self) -> None:
        while not self._certain:
            self._certain = True  # Before it reads: a document outdated meanwhile is read once more.
            try:
                document = (await self.house.store.get(self.kind, (self.key,))).get(self.key)
                self.value = self.value_of(document)
            except StoreError:
                self._certain = False
                raise
            self.version = 0 if document is None else document.version


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
    """Let go of actors to which nothing came since the last call; return how many."""
    gone = 0
    for kind in kinds:
        for key, actor in list(supervisor.actors(kind).items()):
            if not isinstance(actor, DocumentActor):
                continue
            if actor.used or not actor.is_quiet:
                actor.used = False
            else:
                gone += supervisor.passivate(kind, key, actor)
    return gone
