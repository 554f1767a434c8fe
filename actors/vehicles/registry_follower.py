"""Follows the registry's imports while the service runs: the directory takes them in, and awake vehicles are told their limits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from actors.system.runtime import MailboxFull
from actors.system.supervisor import Supervisor
from actors.vehicles.directory import Changes, Directory
from actors.vehicles.vehicle import KIND, RegistryChanged, VehicleActor
from domain.registry import RegisteredVehicle
from persistence.store import StoreError

log = logging.getLogger(__name__)

POLL_S: Final = 1.0

WriteAllAnd = Callable[[Callable[[], None]], Awaitable[None]]
"""Checkpoints every vehicle, and makes a change before anything more is folded (``Checkpointer.write_all_and``)."""


class RegistryFollower:
    """Brings what imports wrote to the directory and to the vehicles that are awake."""

    def __init__(self, directory: Directory, supervisor: Supervisor) -> None:
        self._directory = directory
        self._supervisor = supervisor
        self._untold: dict[str, RegisteredVehicle] = {}
        """Vehicles too busy to be told their new speed limit yet, or about to come to life."""

    async def run(self, write_all_and: WriteAllAnd) -> None:
        """Look for imports, again and again; a store that is down is asked again."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.look(write_all_and)
            except StoreError as error:
                log.warning("imports are not seen for now: %s", error)

    async def look(self, write_all_and: WriteAllAnd) -> None:
        """Take in all that imports have written. Raises ``StoreError``."""
        while changes := await self._directory.look():
            await self._take_in(changes, write_all_and)
        for vehicle in list(self._untold.values()):
            self._tell_limit(vehicle)

    def told(self) -> str | None:
        """Return the revision up to which every awake vehicle knows its limit, None while one must still be told."""
        return None if self._untold else self._directory.revision

    async def _take_in(self, changes: Changes, write_all_and: WriteAllAnd) -> None:
        """Checkpoint first where a terminal moves: it takes nothing along of what it told of its old vehicle."""
        moving = await self._directory.moving(changes)
        take_in = partial(self._directory.take_in, changes, moving)
        if moving:
            await write_all_and(take_in)
        else:
            take_in()
        for vehicle in changes.vehicles:
            self._tell_limit(vehicle)

    def _tell_limit(self, vehicle: RegisteredVehicle) -> None:
        actor = self._supervisor.actors(KIND).get(vehicle.id)
        self._untold.pop(vehicle.id, None)
        try:
            if isinstance(actor, VehicleActor):
                actor.tell(RegistryChanged(vehicle.speed_limit_kmh))
                if not actor.dirty:
                    actor.mark_dirty()  # So that no round of checkpoints passes over what it was told.
            elif self._supervisor.is_loading(KIND, vehicle.id):
                self._untold[vehicle.id] = vehicle  # It may have been read as it was before.
        except MailboxFull:
            self._untold[vehicle.id] = vehicle
