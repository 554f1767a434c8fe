"""Measures the cost of actors in another process: asks and fixes through a pipe, and the same within this process."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from actors.shard import Shard
from actors.vehicles.vehicle import Look
from bench.figures import Figure, emit
from domain.vehicle.fix import Batch, Fix
from domain.vehicle.quality import Outcome
from persistence.sqlite.store import SqliteStore
from tests.seam.remote import ShardProcess
from tests.seam.shard_process import ShardHere

VEHICLES: Final = 10_000
BATCH: Final = 2_000
ROUNDS: Final = 20
"""Reports of each vehicle."""
ASKERS: Final = 100
ASKS: Final = 200
"""Asks of each vehicle, one after the other."""
TURNS: Final = 3
"""Alternating turns of each, of which the best counts."""
T0: Final = 1_780_000_000


@dataclass(frozen=True)
class Measured:
    """Rates per second."""

    fixes: float
    asks: float


async def measure(shard: Shard) -> Measured:
    batches = [batch for number in range(ROUNDS + 1) for batch in round_of(number)]
    await routed(shard, batches[: VEHICLES // BATCH])  # wakes the vehicles
    started = perf_counter()
    await routed(shard, batches[VEHICLES // BATCH :])
    fixes = ROUNDS * VEHICLES / (perf_counter() - started)
    started = perf_counter()
    await asyncio.gather(*(asking(shard, asker) for asker in range(ASKERS)))
    return Measured(fixes, ASKERS * ASKS / (perf_counter() - started))


def round_of(number: int) -> list[Batch]:
    """Make a report of every vehicle, some metres on from the last."""
    at = T0 + 30 * number
    fixes = [
        Fix(f"1{vehicle:05}", at, 114_300_000 + 1000 * number, 30_600_000, 30, 200, 90, 0, 3, 0)
        for vehicle in range(VEHICLES)
    ]
    starts = range(0, VEHICLES, BATCH)
    return [Batch(1 + number * VEHICLES + start, at + 0.5, fixes[start : start + BATCH]) for start in starts]


async def routed(shard: Shard, batches: list[Batch]) -> None:
    for batch in batches:
        outcomes = await shard.route(batch)
        assert outcomes == [Outcome.NEWEST] * BATCH


async def asking(shard: Shard, asker: int) -> None:
    for number in range(ASKS):
        view = await shard.ask(f"v1{(asker * ASKS + number) % VEHICLES:05}", Look())
        assert view is not None


async def here(path: Path) -> Measured:
    store = await SqliteStore.open(path)
    shard = ShardHere(store, T0)
    await shard.recover()
    measured = await measure(shard)
    await store.close()
    return measured


async def there(path: Path) -> Measured:
    child = await ShardProcess.start(path, T0)
    measured = await measure(child.shard)
    await child.end()
    return measured


def best(turns: list[Measured]) -> Measured:
    """Return the best turn: two competing processes may be slowed by others, and never sped up."""
    return Measured(max(turn.fixes for turn in turns), max(turn.asks for turn in turns))


def main() -> None:
    beside, across = [], []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(TURNS):
            beside.append(asyncio.run(here(Path(folder, f"here{turn}.db"))))
            across.append(asyncio.run(there(Path(folder, f"there{turn}.db"))))
    ours, bare = best(across), best(beside)
    emit(
        [
            Figure("seam: fixes routed through a pipe", "fixes/s", ours.fixes, bare.fixes, "within the process"),
            Figure(f"seam: asks through a pipe, {ASKERS} at a time", "asks/s", ours.asks, bare.asks, "the same"),
        ]
    )


if __name__ == "__main__":
    main()
