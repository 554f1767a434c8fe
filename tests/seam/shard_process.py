"""A shard in a process of its own: real actors on a SQLite store, and nothing else, behind standard input and output.

``python -m tests.seam.shard_process STORE UNIX_SECONDS``; its clock stands still. Terminals whose numbers begin with 1
have vehicles, which is all the registry that it needs.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from actors.people.household import Household
from actors.system.clock import VirtualClock
from actors.system.runtime import Dispatcher
from actors.system.supervisor import Supervisor
from actors.vehicles.recovery import Recovery
from actors.vehicles.state import VehicleKind
from actors.vehicles.telemetry import Router
from actors.vehicles.vehicle import KIND, Fleet
from domain.vehicle.fix import Batch
from domain.vehicle.profile import DEFAULT_PROFILE
from domain.vehicle.quality import Outcome
from persistence.sqlite.store import SqliteStore
from persistence.store import Store
from tests.seam.host import Host
from tests.seam.pipe import Called, pipe_over

OWNER: Final = "uscc-1"


def vehicle_of(terminal: str) -> str | None:
    return f"v{terminal}" if terminal.startswith("1") else None


async def limits_of(keys: Sequence[str]) -> Mapping[str, int]:
    return {key: 100 for key in keys if key.startswith("v1")}


async def owner_of(vehicle_id: str) -> str | None:
    return OWNER


class ShardHere:
    """The actors of one process, composed as in run.py; a ``Shard``."""

    def __init__(self, store: Store, at: float) -> None:
        clock, dispatcher = VirtualClock(at), Dispatcher()
        fleet = Fleet(clock, DEFAULT_PROFILE)
        vehicles = VehicleKind(store, dispatcher, fleet, limits_of=limits_of, vehicle_of=vehicle_of)
        self.supervisor = Supervisor(dispatcher, clock, {KIND: vehicles})
        self.household = Household(dispatcher, clock, store, self.supervisor, owner_of=owner_of)
        self._recovery = Recovery(store, self.supervisor, vehicles, limits_of=limits_of, vehicle_of=vehicle_of)
        self._router = Router(self.supervisor, fleet, vehicle_of)
        self._recovered = 0
        self.ask = self.supervisor.ask
        self.watch = self.supervisor.watch
        self.unwatch = self.supervisor.unwatch

    async def recover(self) -> None:
        """Recover from checkpoints and the log, as at every start."""
        self._recovered = (await self._recovery.run()).last_number
        await self.household.recover()

    async def route(self, batch: Batch) -> list[Outcome]:
        """Route a batch. One that was durable at the start came from the log: its outcomes are unknown."""
        if batch.number <= self._recovered:
            return [Outcome.QUEUED] * len(batch.fixes)
        return await self._router.route(batch)


async def main(store_path: str, at: str) -> None:
    says = os.dup(1)
    os.dup2(2, 1)  # What somebody prints must not stand between two frames.
    pipe = await pipe_over(os.dup(0), says, Called)
    store = await SqliteStore.open(Path(store_path))
    await store.serve_alone()
    here = ShardHere(store, float(at))
    await here.recover()
    with suppress(ConnectionError):  # The parent was killed.
        await Host(here, pipe).serve()
    pipe.close()
    await here.supervisor.rest()
    await here.supervisor.stop()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
