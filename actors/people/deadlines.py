"""A single timer over all deadlines in the store: it wakes links whose end lies far ahead, even after restarts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pykka import ActorDeadError

from actors.people.document_actor import NEVER, RETRY_S, Wake
from actors.people.documents import DEADLINE, DELEGATION, SHARE
from actors.people.person import WakePerson
from actors.people.share_link import WakeShare
from actors.system.clock import Clock
from actors.system.runtime import Actor, ActorFailed, Dispatcher, MailboxFull
from actors.system.supervisor import Supervisor, Unanswered
from domain.errors import DomainError
from domain.people.delegation import Delegation
from domain.people.share import Share
from persistence.records import decode
from persistence.store import Document, Store, StoreError, StoreFormatError, StoreUnavailable

log = logging.getLogger(__name__)

KIND: Final = "deadlines"
KEY: Final = ""
PAGE: Final = 200
LOOK: Final = Wake()


class Deadlines:
    """Sleeps until the earliest end that the store knows, wakes its actor, and sleeps again.

    A link that is awake has a timer of its own; this one is for links that sleep, or slept while the service was down.
    """

    def __init__(self, dispatcher: Dispatcher, clock: Clock, store: Store, supervisor: Supervisor) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._store = store
        self._supervisor = supervisor
        self._armed_for = NEVER
        supervisor.learn(KIND, self)
        supervisor.adopt(KIND, KEY, self._looker())

    def note(self, at: float) -> None:
        """Note a new end at ``at`` (Unix seconds)."""
        if at < self._armed_for:
            self._armed_for = at
            self._clock.wake(self, at)

    def note_failure(self) -> None:
        """Note that an actor, or the store, did not answer: the look is repeated later."""
        self.note(self._clock.now() + RETRY_S)

    def on_wake(self, now: float) -> None:
        if now < self._armed_for:
            return  # An earlier wish, outdated since.
        self._armed_for = NEVER
        looker = self._supervisor.actors(KIND)[KEY]
        if not looker.mailbox_depth:
            looker.tell(LOOK)

    def on_set_back(self, now: float) -> None:
        self._armed_for = NEVER
        self.note(now)

    async def look(self) -> Any:
        """Begin, or look again; return when every actor whose end has come was woken."""
        await self._supervisor.actors(KIND)[KEY].ask(LOOK)

    def _looker(self) -> Actor:
        return DeadlinesActor(self._dispatcher, self._clock, self._store, self._supervisor, self)

    # -- how its actor comes to life: see ``supervisor.Kind`` --------------------------------------------------------

    async def load(self, keys: Sequence[str]) -> Mapping[str, Actor]:
        return {key: self._looker() for key in keys}

    async def reload(self, key: str) -> Actor:
        self.note_failure()
        return self._looker()


class DeadlinesActor(Actor):
    """Reads the store and wakes actors, a look at a time."""

    __slots__ = ("_clock", "_deadlines", "_store", "_supervisor")

    def __init__(
        self, dispatcher: Dispatcher, clock: Clock, store: Store, supervisor: Supervisor, deadlines: Deadlines
    ) -> None:
        super().__init__(dispatcher)
        self._clock = clock
        self._store = store
        self._supervisor = supervisor
        self._deadlines = deadlines

    @property
    def actor_urn(self) -> str:  # type: ignore[override]  # as in every actor that the supervisor keeps
        return f"{KIND}:{KEY}"

    async def on_receive(self, message: object) -> None:
        if not self._clock.is_settled:
            self._deadlines.note_failure()
            return
        try:
            for kind in (SHARE, DELEGATION):
                self._deadlines.note(await self._wake_all(kind))
        except StoreError as error:
            log.warning("what is over is announced later: %s", error)
            self._deadlines.note_failure()

    async def _wake_all(self, kind: str) -> float:
        """Wake the actors of a kind whose time is up; return when the next one's is."""
        after: str | None = None
        while True:
            page = await self._store.find(kind, DEADLINE, "", after=after, limit=PAGE)
            ends = [end for document in page.documents if (end := _end(kind, document)) is not None]
            now = self._clock.now()
            await asyncio.gather(*(self._wake(end) for end in dict.fromkeys(ends) if end.at <= now))
            ahead = [end.at for end in ends if end.at > now]
            if ahead:
                return min(ahead)
            after = page.next
            if after is None:
                return NEVER

    async def _wake(self, end: _End) -> None:
        """Wake an actor. One that fell looks for itself when it is back, so a missing answer loses nothing."""
        try:
            await self._supervisor.ask(end.actor_key, end.wake)
        except StoreUnavailable:
            self._deadlines.note_failure()
        except (DomainError, StoreError, Unanswered, ActorFailed, ActorDeadError, MailboxFull) as error:
            log.warning("%s could not be woken: %r", end.wake.kind, error)


class _End(NamedTuple):
    """The key of an actor, the message that wakes it, and when its end comes (Unix seconds)."""

    wake: Wake
    actor_key: str
    at: float


def _end(kind: str, document: Document) -> _End | None:
    """Read an end from a document; None when it can't be read: it must not keep the others waiting."""
    try:
        if kind == SHARE:
            return _End(WakeShare(), document.key, decode(document.record, Share).expires_at)
        delegation = decode(document.record, Delegation)
        return _End(WakePerson(), delegation.driver_id, delegation.expires_at)
    except StoreFormatError as error:
        log.error("a %s can't be read and is never announced as over: %s", kind, error)
        return None
