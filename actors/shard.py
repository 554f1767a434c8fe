"""The interface of actors to the rest of the house, in this process or in another: route, ask, watch."""

from __future__ import annotations

from typing import Protocol

from actors.system.asks import A, Ask
from actors.system.supervisor import Watcher
from domain.vehicle.fix import Batch
from domain.vehicle.quality import Outcome


class Actors(Protocol):
    """The actors that the API talks to; the ``Supervisor`` implements it."""

    async def ask(self, key: str, message: Ask[A]) -> A:
        """See ``Supervisor.ask``."""
        ...

    async def watch(self, kind: str, key: str, watcher: Watcher) -> bool:
        """See ``Supervisor.watch``."""
        ...

    def unwatch(self, kind: str, key: str, watcher: Watcher) -> None:
        """See ``Supervisor.unwatch``."""
        ...


class Shard(Actors, Protocol):
    """A part of the actors with the way in for their telemetry.

    Messages that cross its edge stand in ``actors.wire``.
    """

    async def route(self, batch: Batch) -> list[Outcome]:
        """See ``telemetry.Router.route``; one batch at a time, in the log's order."""
        ...
