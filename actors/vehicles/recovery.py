"""Brings the fleet back after a stop or a crash: hot vehicles from their checkpoints, then the log's tail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actors.system.supervisor import Supervisor
from actors.vehicles.limits_seen import LimitsOf
from actors.vehicles.state import LOG_PAGE, VehicleKind, refold
from actors.vehicles.vehicle import KIND, VehicleActor
from domain.registry import PARTITIONS, partition_of
from persistence.records import decode_batch
from persistence.store import Store

PAUSE_EVERY: Final = 500
"""Fixes folded again before the event loop gets its turn."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """The result of a recovery: vehicles alive, log entries read, fixes folded again, and the newest entry's number."""

    vehicles: int
    entries: int
    fixes: int
    last_number: int


async def newest_time(store: Store) -> float | None:
    """Return when the newest log entry was received, by the clock of the process that wrote it; None for an empty log."""
    after = max((await store.watermarks()).values(), default=0) - 1
    newest = None
    while page := await store.read_log(after=max(after, 0), limit=LOG_PAGE):
        after, entry = page[-1]
        newest = decode_batch(entry)[0]
    return newest


class Recovery:
    """Brings back one process's fleet; run it once, before anything is let in."""

    def __init__(
        self,
        store: Store,
        supervisor: Supervisor,
        kind: VehicleKind,
        *,
        limits_of: LimitsOf,
        vehicle_of: Callable[[str], str | None],
    ) -> None:
        """Prepare the recovery; ``limits_of`` tells the speed limits (km/h) that the states of these vehicles may not
        know.
        """
        self._store = store
        self._supervisor = supervisor
        self._kind = kind
        self._limits_of = limits_of
        self._vehicle_of = vehicle_of

    async def run(self) -> Recovered:
        """Recover the fleet. Raises ``StoreError`` when the store can't be read."""
        self._kind.replaying = True
        watermarks = await self._store.watermarks()
        await self._wake_hot(sorted(watermarks))  # A partition that was never checkpointed holds no states.
        after = last_number = min((watermarks.get(partition, 0) for partition in range(PARTITIONS)), default=0)
        entries = fixes = 0
        while page := await self._store.read_log(after=last_number, limit=LOG_PAGE):
            for number, entry in page:
                fixes += await self._refold(number, entry, watermarks)
            last_number = page[-1][0]
            entries += len(page)
        self._kind.replaying = False
        self._apply_limits()
        last_number = max(after, last_number, max(watermarks.values(), default=0))
        return Recovered(len(self._supervisor.actors(KIND)), entries, fixes, last_number)

    async def _wake_hot(self, partitions: Sequence[int]) -> None:
        """Wake all hot vehicles; the store reads a partition while the vehicles of the one before are made."""
        if not partitions:
            return
        reading = asyncio.create_task(self._hot(partitions[0]))
        try:
            for following in (*partitions[1:], None):
                hot, limits = await reading
                if following is not None:
                    reading = asyncio.create_task(self._hot(following))
                await self._wake(hot, limits)
        finally:
            reading.cancel()

    async def _hot(self, partition: int) -> tuple[Sequence[tuple[str, bytes]], Mapping[str, int]]:
        """Return the states of the vehicles last announced online, and the speed limits that they may not know."""
        hot = await self._store.hot_states(partition)
        return hot, await self._limits_of([key for key, _ in hot]) if hot else {}

    async def _wake(self, hot: Sequence[tuple[str, bytes]], limits: Mapping[str, int]) -> None:
        """Wake vehicles; those that are no longer online count as offline from the start."""
        for number, (key, record) in enumerate(hot, 1):
            actor = self._kind.actor(key, record, limits.get(key), online=True)
            self._supervisor.adopt(KIND, actor.key, actor)
            if number % PAUSE_EVERY == 0:
                await asyncio.sleep(0)

    def _apply_limits(self) -> None:
        """Apply the registry's limits from now on; the log was read with those of then."""
        living = self._supervisor.actors(KIND)
        for key, limit_kmh in self._kind.changed_limits.items():
            actor = living.get(key)
            if isinstance(actor, VehicleActor):
                actor.obey(limit_kmh)
        self._kind.changed_limits.clear()

    async def _refold(self, number: int, entry: bytes, watermarks: Mapping[int, int]) -> int:
        received_at, fixes = decode_batch(entry)
        vehicle_of = self._vehicle_of
        wanted = [
            (key, fix)
            for fix in fixes
            if (key := vehicle_of(fix.terminal)) is not None and watermarks.get(partition_of(key), 0) < number
        ]
        living = self._supervisor.actors(KIND)
        if asleep := [key for key, _ in wanted if key not in living]:
            await self._supervisor.activate(KIND, asleep)
        begun: set[str] = set()
        done = 0
        for key, fix in wanted:
            actor = living.get(key)
            if not isinstance(actor, VehicleActor) or actor.is_suspended:
                continue
            # A vehicle may be checkpointed past its partition's watermark; one entry may hold several of its fixes.
            if actor.vehicle.applied < number:
                begun.add(key)
            elif actor.vehicle.applied > number or key not in begun:
                continue
            refold(actor, fix, received_at, number)
            done += 1
            if done % PAUSE_EVERY == 0:
                await asyncio.sleep(0)
        return done
