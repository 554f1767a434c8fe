"""Brings the actors of people and links to life together, and lets go of idle ones."""

from __future__ import annotations

import asyncio
from typing import Final

from actors.people.business import BusinessKind
from actors.people.deadlines import Deadlines
from actors.people.document_actor import DocumentKind, House, OwnerOf, passivate_idle
from actors.people.documents import BUSINESS, PERSON, SHARE
from actors.people.noted_times import NotedTimes
from actors.people.person import PersonActor
from actors.people.share_link import ShareLinkActor
from actors.system.clock import Clock
from actors.system.runtime import Dispatcher
from actors.system.supervisor import Supervisor
from persistence.store import Store

IDLE_LOOK_S: Final = 600.0
"""Real seconds between two looks for idle actors; one that was idle for a whole one goes."""
WATCH: Final = "watch"


class Household:
    """The people, businesses and share links of one process."""

    def __init__(
        self, dispatcher: Dispatcher, clock: Clock, store: Store, supervisor: Supervisor, *, owner_of: OwnerOf
    ) -> None:
        self._supervisor = supervisor
        self.watch_log = NotedTimes(store, WATCH)
        """The times when each share was last watched (R63)."""
        self.deadlines = Deadlines(dispatcher, clock, store, supervisor)
        house = House(dispatcher, clock, store, supervisor, self.watch_log, self.deadlines, owner_of)
        supervisor.learn(PERSON, DocumentKind(house, PersonActor))
        supervisor.learn(SHARE, DocumentKind(house, ShareLinkActor))
        supervisor.learn(BUSINESS, BusinessKind(house))

    async def recover(self) -> None:
        """End what ended while no service ran. Raises ``StoreError``."""
        await self.deadlines.look()

    async def run(self) -> None:
        """Let go of idle actors until cancelled."""
        while True:
            await asyncio.sleep(IDLE_LOOK_S)
            passivate_idle(self._supervisor, (PERSON, SHARE))
