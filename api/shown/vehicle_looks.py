"""The views of many vehicles, asked for together; a vehicle that cannot answer does not fail the others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from pykka import ActorDeadError

from actors.system.runtime import ActorFailed
from actors.system.supervisor import Supervisor, Unanswered
from actors.vehicles.vehicle import KIND, Look, VehicleView


class VehicleLooks:
    """Reads vehicles for lists. A page of one vehicle asks for itself, and fails with it."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    async def at(self, vehicle_ids: Sequence[str]) -> Mapping[str, VehicleView]:
        """Return the views by vehicle id, of the vehicles that answer.

        Wakes them together. Raises ``StoreUnavailable``.
        """
        unique = list(dict.fromkeys(vehicle_ids))
        if not unique:
            return {}
        await self._supervisor.activate(KIND, unique)
        views = await asyncio.gather(*map(self._look, unique))
        return {key: view for key, view in zip(unique, views, strict=True) if view is not None}

    async def _look(self, vehicle_id: str) -> VehicleView | None:
        try:
            return await self._supervisor.ask(vehicle_id, Look())
        except (Unanswered, ActorFailed, ActorDeadError):
            return None
