"""What do actors offer to those who are none, in this process or in another? Three verbs: route, ask, watch."""

from __future__ import annotations

from typing import Any, Protocol

from actors.system.supervisor import Watcher
from domain.vehicle.fix import Batch
from domain.vehicle.quality import Outcome


class Actors(Protocol):
    """Whom the API talks to; the ``Supervisor`` is one."""

    async def ask(self, kind: str, key: str, message: object) -> Any:
        """See ``Supervisor.ask``."""
        ...

    async def watch(self, kind: str, key: str, watcher: Watcher) -> bool:
        """See ``Supervisor.watch``."""
        ...

    def unwatch(self, kind: str, key: str, watcher: Watcher) -> None:
        """See ``Supervisor.unwatch``."""
        ...


class Shard(Actors, Protocol):
    """Some of the actors with the way in for their telemetry. What crosses its edge stands in ``actors.wire``."""

    async def route(self, batch: Batch) -> list[Outcome]:
        """See ``telemetry.Router.route``; one batch at a time, in the log's order."""
        ...
