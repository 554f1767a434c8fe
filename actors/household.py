"""Brings the actors of people and links to life together, and finishes first what a start finds interrupted."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from pykka import ActorDeadError

from actors.business import BusinessKind, OwnerOf
from actors.clock import Clock
from actors.deadlines import Deadlines
from actors.document_actor import WAKE, DocumentKind, House, passivate_idle
from actors.noted_times import NotedTimes
from actors.people import BUSINESS, PENDING, PERSON, SHARE
from actors.person import PersonActor
from actors.runtime import ActorFailed, Dispatcher, MailboxFull
from actors.share_link import ShareLinkActor
from actors.supervisor import Supervisor, Unanswered
from domain.errors import DomainError
from persistence.store import Store, StoreError, StoreUnavailable

log = logging.getLogger(__name__)

IDLE_LOOK_S: Final = 600.0
"""Real seconds between two looks for actors that nobody needs; one that was idle for a whole one goes."""
PAGE: Final = 200
WATCH: Final = "watch"
TRIES: Final = 2
"""How often a start tries to finish everything before it serves; whatever is left then is tried by timers."""


class Household:
    """People, businesses and share links of one process."""

    def __init__(
        self, dispatcher: Dispatcher, clock: Clock, store: Store, supervisor: Supervisor, *, owner_of: OwnerOf
    ) -> None:
        self._supervisor = supervisor
        self._store = store
        self.watch_log = NotedTimes(store, WATCH)
        """When each share was last watched (R63)."""
        self.deadlines = Deadlines(dispatcher, clock, store, supervisor)
        house = House(dispatcher, clock, store, supervisor, self.watch_log, self.deadlines)
        supervisor.learn(PERSON, DocumentKind(house, PersonActor))
        supervisor.learn(SHARE, DocumentKind(house, ShareLinkActor))
        supervisor.learn(BUSINESS, BusinessKind(house, owner_of))

    async def recover(self) -> None:
        """Finishes or undoes what was interrupted, and ends what ended meanwhile. Raises ``StoreUnavailable``."""
        for _ in range(TRIES):
            if not await self._finish_all():
                break
        await self.deadlines.look()

    async def _finish_all(self) -> int:
        """How many are left: what they wait for can't be read, or failed just now."""
        after: str | None = None
        while True:
            page = await self._store.find(PERSON, PENDING, "", after=after, limit=PAGE)
            for document in page.documents:
                await self._wake(document.key)
            after = page.next
            if after is None:
                return await self._store.count(PERSON, PENDING, "")

    async def _wake(self, person_id: str) -> None:
        try:
            await self._supervisor.ask(PERSON, person_id, WAKE)
        except StoreUnavailable:
            raise
        except (DomainError, StoreError, Unanswered, ActorFailed, ActorDeadError, MailboxFull) as error:
            log.error("a person's interrupted command is finished later: %r", error)

    async def run(self) -> None:
        """Until cancelled: lets go of who is idle."""
        while True:
            await asyncio.sleep(IDLE_LOOK_S)
            passivate_idle(self._supervisor, (PERSON, SHARE))
